// The columns of every sheet, in the order in which the shipped workbooks have them. What a cell may hold stands where it is read.

export const runKeys = [
  'name',
  'seed',
  'duration',
  'warmup',
  'drain',
  'ramp_limit',
  'engine',
  'agents',
  'model',
  'percentiles',
  'clock_error_max',
  'loop_delay_p99_max',
  'on_agent_loss',
  'report',
  'live_port',
] as const

export type RunKey = (typeof runKeys)[number]

export const sheetColumns = {
  Run: ['key', 'value', 'note'],
  Zones: ['zone', 'label', 'agents_min', 'clock_offset', 'clock_drift'],
  Links: ['from', 'to', 'rtt', 'jitter', 'loss', 'loss_burst', 'bandwidth', 'symmetric'],
  Relays: ['relay', 'zone', 'url', 'managed', 'config', 'weight', 'failure_domain', 'enabled'],
  Profiles: ['profile', 'packet_size', 'rate', 'burst', 'think', 'direction', 'key_mode', 'compression', 'paths', 'mode', 'flow_check'],
  Clients: [
    'client',
    'count',
    'enabled',
    'tags',
    'zone',
    'user',
    'application',
    'profile',
    'peer',
    'relays',
    'bind',
    'proxy',
    'carrier',
    'attach_at',
    'detach_at',
    'connect',
    'session',
    'disconnect',
    'reconnect',
    'packet_size',
    'rate',
    'burst',
    'data_limit',
    'key_mode',
    'paths',
    'read_rate',
    'inject',
    'expect',
    'note',
  ],
  Phases: ['phase', 'start', 'duration', 'target', 'executor', 'from', 'to', 'step', 'hold'],
  Faults: ['fault', 'when', 'duration', 'target', 'action', 'p1', 'p2', 'p3', 'p4', 'heal', 'abort_if', 'expect', 'note'],
  Limits: ['limit', 'metric', 'filter', 'stat', 'op', 'value', 'window', 'severity', 'abort', 'abort_delay', 'note'],
} as const

export type SheetName = keyof typeof sheetColumns

/** Sheets that a result workbook adds: a result can be run again as it is. */
export const outputSheets: readonly string[] = [
  'Summary',
  'Timeline',
  'Latency',
  'Failovers',
  'FaultLog',
  'ClientResults',
  'Integrity',
  'Agents',
  'Relay results',
  'PhaseResults',
  'Errors',
]
