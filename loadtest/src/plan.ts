// The plan: everything a run needs, worked out from a workbook before any socket opens. It is plain data (JSON in, JSON out), frozen,
// and holds no randomness of its own: what was random in the workbook has been drawn from the seed. All times are milliseconds after
// the start of the run, all sizes bytes, all rates per second. The live runner and the virtual world read the same plan.
import { createHash } from 'node:crypto'
import type { RelayLimitWord, TraitWords } from '@sennit/protocol'
import type { PacePoint } from './pace.ts'

/** Everything a run needs. */
export interface Plan {
  /** Rises when the meaning of a field changes. */
  readonly version: 1
  readonly name: string
  readonly seed: number
  readonly run: RunSettings
  readonly zones: readonly PlanZone[]
  readonly links: readonly PlanLink[]
  readonly relays: readonly PlanRelay[]
  readonly clients: readonly PlanClient[]
  readonly flows: readonly Flow[]
  /** In order of time. */
  readonly acts: readonly FaultAct[]
  readonly limits: readonly Limit[]
  /** Stages of the run, in the order of the sheet; absent: none. */
  readonly phases?: readonly PlanPhase[]
  /** How rates change over time: a factor on the rate of each direction that points here; absent: none does. */
  readonly paces?: readonly (readonly PacePoint[])[]
  /** What can be begun by hand while the run lasts: the rows of `Faults`, also those that are `never` due. Absent: nothing. */
  readonly drills?: readonly Drill[]
}

export const phaseExecutors = ['fixed', 'constant_clients', 'ramping_clients', 'constant_rate', 'ramping_rate', 'stairs'] as const

export type PhaseExecutor = (typeof phaseExecutors)[number]

/** One stage of a run: [startMs, endMs). What it changes has been worked out: `paces` for rates, the presence of clients for their number. */
export interface PlanPhase {
  readonly phase: string
  readonly startMs: number
  readonly endMs: number
  readonly executor: PhaseExecutor
  /** What it sets: how fast its clients send together, how many of them are there, or nothing (`fixed`). */
  readonly sets: 'rate' | 'clients' | 'nothing'
  /** As it is written, such as `tag:iot`. */
  readonly target: string
  /** Indexes of `plan.clients`; absent: all. */
  readonly clients?: readonly number[]
  /** `rate`: messages a second of all its clients together; `clients`: how many. Straight lines between points; absent for `nothing`. */
  readonly line?: readonly PhasePoint[]
}

export interface PhasePoint {
  readonly atMs: number
  readonly value: number
}

export interface RunSettings {
  /** The load runs in [0, durationMs); then senders stop and at most `drainMs` is waited for what is under way. */
  readonly durationMs: number
  /** The first part of the run, outside every limit. */
  readonly warmupMs: number
  readonly drainMs: number
  readonly percentiles: readonly number[]
  readonly clockErrorMaxMs: number
  readonly loopDelayP99MaxMs: number
  readonly reports: readonly ReportKind[]
  /** How agents come; absent: the run is one process, or starts its agents itself. */
  readonly engine?: Exclude<RunEngine, 'local'>
  /** So many of them; absent: as many as the command line says. */
  readonly agents?: number
  /** The run ends at once when an agent is lost; absent: it goes on, and is inconclusive. */
  readonly onAgentLoss?: 'abort'
  /** Where the live page listens; absent: there is none. */
  readonly livePort?: number
}

/** More agents than this is no drill any more. */
export const agentsMax = 1_000

/** Where agents come from: this machine, somebody's hands, or an engine that starts processes. */
export const runEngines = ['local', 'attach', 'kubernetes', 'slurm', 'nomad'] as const

export type RunEngine = (typeof runEngines)[number]

/** What a run may leave behind. `summary.json` is always there. */
export const reportKinds = ['html', 'xlsx', 'json', 'csv', 'junit', 'prometheus'] as const

export type ReportKind = (typeof reportKinds)[number]

export interface PlanZone {
  readonly zone: string
  readonly label: string
  /** So many agents of the zone must take part; absent: none. */
  readonly agentsMin?: number
  /** The clocks of its machines (relays and clients) are so far ahead, from the start of the run; absent: they are right. */
  readonly clockOffsetMs?: number
  /** They gain so much besides: 0.01 is 10 ms a second; absent: nothing. */
  readonly clockDrift?: number
}

/** What lies between clients of zone `from` and relays of zone `to` (one entry per ordered pair; absent = nothing is added). */
export interface PlanLink {
  readonly from: string
  readonly to: string
  readonly rttMs: number
  readonly jitterMs: number
  /** What one attachment carries in this direction; absent: no bound. */
  readonly bytesPerSecond?: number
  /** Share of packets that are lost at first; absent: none. Over a byte stream they come one round trip later, and what follows waits. */
  readonly lossShare?: number
  /** So many packets in a row are lost on average; absent: one. */
  readonly lossBurst?: number
}

export interface PlanRelay {
  readonly relay: string
  readonly zone: string
  /** '' = the test set chooses a loopback port. */
  readonly url: string
  /** Started, stopped and killed by the test set. */
  readonly managed: boolean
  /** How likely `relays = random` puts it before others. */
  readonly weight: number
  readonly failureDomain: string
  /** What its configuration says beyond the test set's; absent: nothing. */
  readonly config?: PlanRelayConfig
}

/** In the words of `relay.toml`. */
export interface PlanRelayConfig {
  readonly limits?: Partial<Readonly<Record<RelayLimitWord, number>>>
  readonly traits?: TraitWords
}

export interface PlanClient {
  readonly client: string
  /** Row of the sheet it came from (1-based, as the spreadsheet shows it). */
  readonly row: number
  readonly tags: readonly string[]
  readonly zone: string
  readonly user: string
  /** '' = none; else its name is `user/label`. */
  readonly label: string
  readonly application: string
  readonly profile: string
  /** Relay ids, in the order in which they are given to the client. */
  readonly relays: readonly string[]
  readonly carrier: 'auto' | 'upgrade' | 'http' | 'grpc'
  /** Addresses of its machine that it dials from: as many links to every relay; absent: one, from where the system chooses. */
  readonly bind?: readonly string[]
  /** '' = none. */
  readonly proxy: string
  /** How its connections use their relays, as `--paths` takes it; '' = it says nothing. */
  readonly paths: string
  /** The one key mode that it calls with and accepts; absent: blind. */
  readonly keyMode?: 'relay' | 'none'
  /** Whether it compresses messages; absent: it says nothing. */
  readonly compress?: Compress
  /** Spread by `ramp_limit` already. */
  readonly attachAtMs: number
  /** null = stays to the end. */
  readonly detachAtMs: number | null
  /** It comes back at these times, in order; absent: it does not. */
  readonly again?: readonly Presence[]
  /** How it leaves; absent: in good order. `reset`: its connections are aborted. `vanish`: without a word, as when its machine loses its power. */
  readonly disconnect?: 'reset' | 'vanish'
  /** What it expects; absent: that what it sends is delivered. `rejected`: that it gets no connection. `disconnected`: that it loses it. */
  readonly expect?: 'rejected' | 'disconnected'
  /** It has the certificate of its user, and another key. */
  readonly wrongKey?: true
  /** Only listens: nobody is called by it. */
  readonly passive: boolean
  readonly note: string
}

/** A time at which a client is there. */
export interface Presence {
  readonly attachAtMs: number
  /** null = stays to the end. */
  readonly detachAtMs: number | null
}

/** `never` also when the other end asks, `auto` where it pays, `always` from 128 bytes. */
export type Compress = 'never' | 'auto' | 'always'

/** One connection of two clients. */
export interface Flow {
  readonly flow: number
  /** Indexes of `plan.clients`. */
  readonly caller: number
  readonly listener: number
  readonly application: string
  /** When the caller may connect: both ends have begun to attach. */
  readonly openAtMs: number
  /** When it is closed in good order; null = at the end of the run, after the drain. */
  readonly closeAtMs: number | null
  /** When it is connected, in order, where that is more than once or does not end in good order; absent: from `openAtMs` to `closeAtMs`. */
  readonly sessions?: readonly FlowSession[]
  readonly directions: readonly FlowDirection[]
}

/** One time that a flow is connected. What was accepted before a `clean` end is delivered; what is under way at another end may be, or not. */
export interface FlowSession {
  readonly openAtMs: number
  /** null = at the end of the run, after the drain. */
  readonly closeAtMs: number | null
  /** Who ends it, and how; absent: both, in good order. */
  readonly end?: { readonly by: 'caller' | 'listener'; readonly how: 'reset' | 'vanish' }
}

/** One sending end of a flow. */
export interface FlowDirection {
  /** Unique in the plan: 2 × flow, + 1 from listener to caller. It is the keystream's flow number and indexes the recorder's tables. */
  readonly direction: number
  readonly flow: number
  /** Indexes of `plan.clients`. */
  readonly from: number
  readonly to: number
  /** Bursts a second × burst = messages a second. */
  readonly bursts: number
  readonly burst: number
  readonly messagesPerSecond: number
  readonly size: Distribution
  /** null = none. Whole messages up to it are sent. */
  readonly dataLimitBytes: number | null
  /** Bytes a second the receiver takes; null = as they come. */
  readonly readBytesPerSecond: number | null
  readonly check: 'full' | 'counter' | 'none'
  /** `datagram`: sent once, never again; what does not arrive is missing, not lost. Absent: messages. */
  readonly mode?: 'datagram'
  /** `text`: letters, so that compression has something to gain. Absent: noise. */
  readonly content?: 'text'
  /** `asks`: each of its messages is answered. `answers`: it sends one message for each that comes, of the same size. Absent: neither. */
  readonly role?: 'asks' | 'answers'
  /** The closed model: the next burst is due so many ms (a distribution) after the last one was answered; then `bursts` is what that gives at most. */
  readonly think?: Distribution
  /** Index of `plan.paces`: the rate over time. Absent: the same rate all the time. */
  readonly pace?: number
}

/** Message sizes in bytes (or any other positive quantity). */
export type Distribution =
  | { readonly kind: 'const'; readonly value: number }
  | { readonly kind: 'uniform'; readonly from: number; readonly to: number }
  | { readonly kind: 'normal'; readonly mean: number; readonly deviation: number }
  | { readonly kind: 'lognormal'; readonly median: number; readonly sigma: number }
  | { readonly kind: 'exp'; readonly mean: number }
  | { readonly kind: 'mix'; readonly parts: readonly { readonly value: number; readonly share: number }[] }

export type FaultAction =
  | 'kill'
  | 'term'
  | 'drain'
  | 'pause'
  | 'restart'
  | 'rolling_restart'
  | 'cpu_hog'
  | 'fd_exhaust'
  | 'disk_full'
  | 'clock_offset'
  | 'clock_drift'
  | 'cert_expired'
  | 'blackhole'
  | 'partition'
  | 'isolate_one'
  | 'one_way'
  | 'swizzle_clog'
  | 'flap'
  | 'cut'
  | 'refuse'
  | 'reset_peer'
  | 'half_open'
  | 'slow_close'
  | 'latency'
  | 'loss'
  | 'bandwidth'
  | 'slice'
  | 'mtu'
  | 'limit_data'
  | 'corrupt'
  | 'duplicate_frame'
  | 'reorder_frame'
  | 'captive'
  | 'nat_rebind'
  | 'dns_gone'
  | 'sleep'
  | 'directory_down'
  | 'vanish'
  | 'flip'
  | 'stall_read'
  | 'bad_password'
  | 'duplicate_id'
  | 'never_authenticate'
  | 'garbage'
  | 'oversize'

/** A row of `Faults`, to be begun by hand. */
export interface Drill {
  readonly fault: string
  readonly action: FaultAction
  /** As it is written, such as `busiest(relay:*)`. */
  readonly target: string
  /** `atMs` counts from the moment when it is begun. */
  readonly acts: readonly Omit<FaultAct, 'act'>[]
}

/** One concrete act. A row of `Faults` with a schedule or several targets gives several; a rolling restart one per relay. */
export interface FaultAct extends ActParameters {
  /** Index in `plan.acts`. */
  readonly act: number
  /** Name of the row. */
  readonly fault: string
  readonly action: FaultAction
  readonly target: ActTarget
  readonly atMs: number
  /** After it the runner heals: starts a killed relay again, continues a paused one, takes the network rule away. 0 for `reset_peer`. */
  readonly durationMs: number
  /** `never`: it is not healed while the run lasts, and nothing else revives that target. (Processes are cleaned up after the run.) */
  readonly heal: 'auto' | 'never'
  readonly expect: 'survive' | 'degrade' | 'outage'
  /** Any of these keeps it from beginning, and ends it at once while it lasts; absent: nothing does. */
  readonly haltIf?: readonly HaltCondition[]
  /** Begun by hand while the run lasted; it is in no plan. */
  readonly unplanned?: true
}

/** `limit`: it is broken now. Else: this is so now, in bytes, ms, per second or a number; `share`: of all that are planned. */
export type HaltCondition =
  | { readonly limit: string }
  | {
      readonly quantity: HaltQuantity
      readonly op: LimitOperator
      readonly value: number
      readonly share?: true
      /** As it is written. */
      readonly text: string
    }

/** What `abort_if` can look at, as it was up to a second ago, and what it is measured in. */
export const conditionQuantities: Readonly<
  Record<HaltQuantity, { readonly of: 'bytes' | 'connections' | 'clients' | 'relays' | 'ms' | 'rate' }>
> = {
  damaged: { of: 'bytes' },
  never_recovered: { of: 'connections' },
  without_path: { of: 'connections' },
  connected: { of: 'connections' },
  attached: { of: 'clients' },
  relays_up: { of: 'relays' },
  p99: { of: 'ms' },
  throughput: { of: 'rate' },
}

export type HaltQuantity = 'damaged' | 'never_recovered' | 'without_path' | 'connected' | 'attached' | 'relays_up' | 'p99' | 'throughput'

/** What `p1`–`p4` say. A field that an action does not have is absent (the first four: 0 or both). */
export interface ActParameters {
  /** Latency that is added, one way. */
  readonly latencyMs: number
  readonly jitterMs: number
  /** `one_way`: which direction is cut. `up` is client to relay. */
  readonly direction: 'up' | 'down' | 'both'
  /** `corrupt`: one byte in so many is changed; 0 otherwise. */
  readonly corruptOneIn: number
  /** `reset_peer`: again after so long, while the act lasts; absent: once. */
  readonly everyMs?: number
  /** `flap`: so long gone, then `upMs` there. `cpu_hog`: one turn of stopping and going on. */
  readonly downMs?: number
  readonly upMs?: number
  /** `loss`, `duplicate_frame`, `reorder_frame`: of the pieces. `cpu_hog`: of the time. */
  readonly share?: number
  /** `loss`: until a lost piece comes after all. `slice`: between two pieces. `slow_close`: until the end is told. `reorder_frame`: at most so late. */
  readonly delayMs?: number
  /** `mtu`: the largest piece that passes. `slice`: the largest piece there is. `limit_data`: what a connection carries. `garbage`, `oversize`: what is sent. `flip`: bits. */
  readonly bytes?: number
  /** `bandwidth` */
  readonly bytesPerSecond?: number
  /** `clock_offset`: how far the clock jumps. */
  readonly offsetMs?: number
  /** `clock_drift`: 0.01 gains 10 ms a second. */
  readonly drift?: number
  /** `flap`, `nat_rebind`, `clock_offset`, `restart`, `rolling_restart`, `directory_down`: one of the words of the action. */
  readonly how?: string
}

export type ActTarget =
  | { readonly kind: 'relay'; readonly relay: string }
  /** The relay that carries the most traffic when the act begins, of those that run and are not held by another act (`RunRecorder.busiestRelay`). */
  | { readonly kind: 'busiest'; readonly among: readonly string[] }
  /** Network actions: between all clients of the zone and every relay. */
  | { readonly kind: 'zone'; readonly zone: string }
  /**
   * Network and client actions: these clients, by name in the order of the plan. `name` is the target as it was written. `link`: only their links of
   * that number to every relay, from 1 in the order of `bind`; absent: all their links.
   */
  | { readonly kind: 'clients'; readonly clients: readonly string[]; readonly name: string; readonly link?: number }
  /** Network actions: between clients of one zone and relays of another. */
  | { readonly kind: 'link'; readonly from: string; readonly to: string }

export type LimitOperator = '<' | '<=' | '=' | '!=' | '>=' | '>'

export type LimitStat =
  | { readonly kind: 'p'; readonly percentile: number }
  | { readonly kind: 'max' | 'avg' | 'count' | 'rate' | 'value' | 'min' }

export type LimitWindow =
  | { readonly kind: 'run' }
  | { readonly kind: 'steady' }
  | { readonly kind: 'during'; readonly fault: string }
  /** From `delayMs` after the fault was healed, until the next act begins or the load ends. */
  | { readonly kind: 'after'; readonly fault: string; readonly delayMs: number }
  /** A stage of the run, without what of it lies in the warm-up. */
  | { readonly kind: 'phase'; readonly phase: string }

export interface Limit {
  readonly limit: string
  readonly metric: Metric
  /** Which acts count, for metrics of acts; both empty = all. */
  readonly actions: readonly FaultAction[]
  readonly faults: readonly string[]
  /** Which connections count: those with an end that carries one of these tags; empty = all. */
  readonly tags: readonly string[]
  /** The same by profile, zone and name of the client; absent: all. */
  readonly profiles?: readonly string[]
  readonly zones?: readonly string[]
  readonly clients?: readonly string[]
  /** Which relays count, for metrics of relays; absent: all. */
  readonly relays?: readonly string[]
  readonly stat: LimitStat
  /** The cell as it was, such as `p(99)`. */
  readonly statText: string
  readonly op: LimitOperator
  /** In ms, bytes, messages, per second or as a ratio, whatever the metric is in. */
  readonly value: number
  readonly valueText: string
  readonly window: LimitWindow
  readonly windowText: string
  /** `sometimes`: must have held at least once (in some second), else the run is inconclusive. */
  readonly severity: 'fail' | 'warn' | 'sometimes'
  /** The run ends early once the limit is broken for so long; absent: it goes to its end. */
  readonly abortAfterMs?: number
  readonly note: string
}

/** `seen`: one value for each relay of each connection. `shares`: one for each relay. */
export type MetricKind = 'histogram' | 'rate' | 'counter' | 'act' | 'ratio' | 'gauge' | 'seen' | 'shares'

export type Metric =
  | 'handshake_time'
  | 'connect_time'
  | 'reconnect_time'
  | 'response_time'
  | 'service_time'
  | 'e2e_latency'
  | 'send_delay'
  | 'throughput'
  | 'goodput'
  | 'lost'
  | 'duplicated'
  | 'reordered'
  | 'corrupted'
  | 'unexpected'
  | 'unknown'
  | 'datagrams_missing'
  | 'datagram_loss'
  | 'compression_ratio'
  | 'stall'
  | 'detect_time'
  | 'failover_time'
  | 'recover_to_rate_time'
  | 'failover_connections'
  | 'never_recovered'
  | 'dropped_starts'
  | 'connections_opened'
  | 'connections_failed'
  | 'connections_reset'
  | 'bystander_p99_ratio'
  | 'relay_rss'
  | 'relay_cpu'
  | 'relay_fd'
  | 'relay_bytes_seen'
  | 'path_share'
  | 'generator_loop_delay'

/** What a limit can be set on, and what it is measured in. `kind` says where the number comes from. */
export const metrics: Readonly<Record<Metric, { readonly kind: MetricKind; readonly unit: string }>> = {
  handshake_time: { kind: 'histogram', unit: 'ms' },
  connect_time: { kind: 'histogram', unit: 'ms' },
  reconnect_time: { kind: 'histogram', unit: 'ms' },
  response_time: { kind: 'histogram', unit: 'ms' },
  service_time: { kind: 'histogram', unit: 'ms' },
  e2e_latency: { kind: 'histogram', unit: 'ms' },
  send_delay: { kind: 'histogram', unit: 'ms' },
  throughput: { kind: 'rate', unit: 'messages/s' },
  goodput: { kind: 'rate', unit: 'B/s' },
  lost: { kind: 'counter', unit: 'B' },
  duplicated: { kind: 'counter', unit: 'B' },
  reordered: { kind: 'counter', unit: 'B' },
  corrupted: { kind: 'counter', unit: 'B' },
  unexpected: { kind: 'counter', unit: 'B' },
  unknown: { kind: 'counter', unit: 'B' },
  datagrams_missing: { kind: 'counter', unit: 'datagrams' },
  datagram_loss: { kind: 'ratio', unit: 'share' },
  compression_ratio: { kind: 'ratio', unit: 'share' },
  stall: { kind: 'act', unit: 'ms' },
  detect_time: { kind: 'act', unit: 'ms' },
  failover_time: { kind: 'act', unit: 'ms' },
  recover_to_rate_time: { kind: 'act', unit: 'ms' },
  failover_connections: { kind: 'act', unit: 'connections' },
  never_recovered: { kind: 'counter', unit: 'connections' },
  dropped_starts: { kind: 'counter', unit: 'clients' },
  connections_opened: { kind: 'counter', unit: 'connections' },
  connections_failed: { kind: 'counter', unit: 'connections' },
  connections_reset: { kind: 'counter', unit: 'connections' },
  bystander_p99_ratio: { kind: 'ratio', unit: '' },
  relay_rss: { kind: 'gauge', unit: 'B' },
  relay_cpu: { kind: 'gauge', unit: 'cores' },
  relay_fd: { kind: 'gauge', unit: 'descriptors' },
  relay_bytes_seen: { kind: 'seen', unit: 'B' },
  path_share: { kind: 'shares', unit: 'share' },
  generator_loop_delay: { kind: 'histogram', unit: 'ms' },
}

/** Whether senders wait for answers: all of them, none, or some. */
export function modelOf({ flows }: Pick<Plan, 'flows'>): 'open' | 'closed' | 'mixed' {
  const own = flows.flatMap(({ directions }) => directions).filter(({ role }) => role !== 'answers')
  const waiting = own.filter(({ think }) => think !== undefined).length
  return waiting === 0 ? 'open' : waiting === own.length ? 'closed' : 'mixed'
}

/** SHA-256 (hex) of the plan's canonical JSON: the same workbook, seed and scale give the same hash on every machine. */
export function planHash(plan: Plan): string {
  return createHash('sha256').update(canonicalJson(plan)).digest('hex')
}

/** JSON with keys in code point order and no spaces. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`
  }
  return JSON.stringify(value)
}

/** Freezes a plan through and through, so that no run can change what its hash says. */
export function freezePlan(plan: Plan): Plan {
  freeze(plan)
  return plan
}

function freeze(value: unknown): void {
  if (value === null || typeof value !== 'object' || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const item of Object.values(value)) freeze(item)
}
