// The source of relay-failover.xlsx. `npm run workbooks` makes the workbook from it; `npm run workbooks -- --check` says whether both are equal.
// A row may leave columns out; every column stands in the workbook.
export const Run = {
  name: ['relay-failover'],
  seed: [1, 'the same seed gives the same sizes, times and choices'],
  duration: ['60s', 'how long the clients send'],
  warmup: ['8s', 'outside the latency limits: the clients attach in the first 3 s and settle on their relays'],
  drain: ['10s', 'then at most this long is waited for what is under way'],
  ramp_limit: ['20/s', '60 clients attach in 3 s, not at once'],
  engine: ['local'],
  agents: ['auto'],
  model: ['open', 'a message is due whether or not the last one arrived'],
  percentiles: ['50,90,99,99.9'],
  clock_error_max: ['5ms'],
  loop_delay_p99_max: ['50ms'],
  on_agent_loss: ['inconclusive'],
  report: ['html,xlsx,json'],
  live_port: [0],
}

export const Zones = [{ zone: 'here', label: 'this machine' }]

export const Links = []

export const Relays = [
  { relay: 'r1', zone: 'here', managed: 'yes', weight: 1, failure_domain: 'a', enabled: 'yes' },
  { relay: 'r2', zone: 'here', managed: 'yes', weight: 1, failure_domain: 'b', enabled: 'yes' },
  { relay: 'r3', zone: 'here', managed: 'yes', weight: 1, failure_domain: 'c', enabled: 'yes' },
]

// A stall can be told from a pause of the traffic only where there is traffic: 100 messages a second each way. Five connections of thirty have
// that; the others talk as people do, and every byte of all of them is checked. All clients live in one process, so that whatever it has to do
// besides is in every stall: on a slow machine with two cores the clients must leave a core half free, or the drill measures the machine.
export const Profiles = [
  { profile: 'measured', rate: '110/s' },
  { profile: 'talk', rate: '5/s' },
].map((row) => ({
  ...row,
  packet_size: 'uniform(100,300)',
  burst: 1,
  direction: 'both',
  key_mode: 'blind',
  paths: 'best',
  mode: 'reliable',
  flow_check: 'full',
}))

// One row a client: 1 talks with 2, 3 with 4 …
export const Clients = Array.from({ length: 60 }, (_, i) => ({
  client: `c${String(i + 1).padStart(2, '0')}`,
  count: 1,
  enabled: 'yes',
  tags: i % 12 < 2 ? 'measured' : '',
  zone: 'here',
  application: 'drill',
  profile: i % 12 < 2 ? 'measured' : 'talk',
  relays: 'nearest',
  carrier: 'auto',
  attach_at: '0s',
  detach_at: 'end',
  connect: 'once',
  disconnect: 'clean',
  expect: 'delivered',
  note: i % 2 === 0 ? 'calls the next row' : 'is called by the row above',
}))

export const Faults = [
  {
    fault: 'kill1',
    when: 'at(12s)',
    duration: '3s',
    target: 'busiest(relay:*)',
    action: 'kill',
    heal: 'auto',
    expect: 'survive',
    note: 'kill -9 of the relay that carries most, started again after 3 s',
  },
  {
    fault: 'kill2',
    when: 'at(24s)',
    duration: '3s',
    target: 'busiest(relay:*)',
    action: 'kill',
    heal: 'auto',
    expect: 'survive',
    note: 'and again',
  },
  {
    fault: 'freeze',
    when: 'at(36s)',
    duration: '4s',
    target: 'busiest(relay:*)',
    action: 'pause',
    heal: 'auto',
    expect: 'survive',
    note: 'SIGSTOP: its sockets stay open and nothing comes out of them',
  },
  {
    fault: 'rolling',
    when: 'at(48s)',
    duration: '0s',
    target: 'relay:*',
    action: 'rolling_restart',
    p1: '3s',
    heal: 'auto',
    expect: 'survive',
    note: 'every relay drains, ends and starts again, one after the other',
  },
]

export const Limits = [
  ...['lost', 'duplicated', 'reordered', 'corrupted', 'unexpected'].map((metric) => ({
    limit: metric,
    metric,
    stat: 'value',
    op: '=',
    value: 0,
    window: 'run',
    severity: 'fail',
    note: 'bytes',
  })),
  {
    limit: 'never_recovered',
    metric: 'never_recovered',
    stat: 'value',
    op: '=',
    value: 0,
    window: 'run',
    severity: 'fail',
    note: 'connections',
  },
  {
    limit: 'resets',
    metric: 'connections_reset',
    stat: 'value',
    op: '=',
    value: 0,
    window: 'run',
    severity: 'fail',
    note: 'seen by an application',
  },
  {
    limit: 'stall_kill',
    metric: 'stall',
    filter: 'action:kill; tag:measured',
    stat: 'p(99)',
    op: '<=',
    value: '50ms',
    window: 'run',
    severity: 'fail',
    note: 'over the connections that the killed relays carried',
  },
  {
    limit: 'stall_freeze',
    metric: 'stall',
    filter: 'action:pause; tag:measured',
    stat: 'p(99)',
    op: '<=',
    value: '500ms',
    window: 'run',
    severity: 'fail',
  },
  {
    limit: 'kill_hits',
    metric: 'failover_connections',
    filter: 'action:kill',
    stat: 'min',
    op: '>=',
    value: 1,
    window: 'run',
    severity: 'sometimes',
    note: 'a kill that hits nobody proves nothing',
  },
  {
    limit: 'freeze_hits',
    metric: 'failover_connections',
    filter: 'action:pause',
    stat: 'min',
    op: '>=',
    value: 1,
    window: 'run',
    severity: 'sometimes',
  },
]
