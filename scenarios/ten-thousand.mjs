// The source of ten-thousand.xlsx: as 02-steady-10k, cut to what one small machine bears. Ten thousand clients, five thousand connections, one message of
// 64 bytes a second each way, every byte checked; each client knows one relay, so that there are ten thousand attachments and not forty thousand.
import { always, relays, Zones } from './parts/common.mjs'
import { limit } from './parts/limits.mjs'

export const Run = {
  name: ['ten-thousand'],
  seed: [1],
  duration: ['345s', 'how long the clients send'],
  warmup: ['270s', 'they attach, then send more and more; what they send is checked, and its latency not counted'],
  drain: ['15s'],
  ramp_limit: ['60/s', 'attaches a second: a handshake costs some milliseconds at both ends, and two cores have other things to do'],
  loop_delay_p99_max: ['50ms', 'else the run is inconclusive: the generator was the limit, not the mesh'],
}
export { Zones }
export const Relays = relays(2)

export const Profiles = [{ profile: 'steady', rate: '1/s', packet_size: 'const(64)', direction: 'both', flow_check: 'full' }]

// A handshake costs as much as fifty messages: who attaches all the while does not show what ten thousand cost.
export const Phases = [
  { phase: 'attach', start: '0s', duration: '172s', target: '*', executor: 'constant_rate', from: '5%' },
  { phase: 'climb', duration: '28s', target: '*', executor: 'ramping_rate', from: '5%', to: '100%' },
  { phase: 'settle', duration: '70s', target: '*', executor: 'fixed' },
  { phase: 'all', duration: '75s', target: '*', executor: 'constant_rate', to: '100%' },
]

export const Clients = ['r1', 'r2'].map((relay) => ({
  client: `${relay}-{n}`,
  count: 5_000,
  enabled: 'yes',
  zone: 'here',
  application: 'steady',
  profile: 'steady',
  relays: `list(${relay})`,
  carrier: 'upgrade',
  note: '1 talks with 2, 3 with 4 …',
}))

export const Limits = [
  ...always,
  limit('all_open', 'connections_failed', 'value', '=', 0),
  limit('all_sent', 'send_delay', 'p(99)', '<=', '100ms', { note: 'the generator keeps pace' }),
  limit('response', 'response_time', 'p(99)', '<=', '250ms', { note: 'from when a message was due', severity: 'warn' }),
  limit('relay_memory', 'relay_rss', 'max', '<=', '1GB', { note: 'of each relay; live only', severity: 'warn' }),
]
