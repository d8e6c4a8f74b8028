// The source of 02-steady-10k.xlsx: ten thousand clients, five thousand connections, one message a second each way, every byte checked, nothing going
// wrong: what a mesh does all day. It shows whether the relays carry the number, and whether the generator does.
import { always, relays, Zones } from './parts/common.mjs'
import { limit } from './parts/limits.mjs'

export const Run = {
  name: ['02-steady-10k'],
  seed: [1],
  duration: ['75s', 'how long the clients send'],
  warmup: ['35s', 'the clients attach in the first 20 to 30 s'],
  drain: ['15s'],
  ramp_limit: ['500/s', 'attaches a second'],
  loop_delay_p99_max: ['50ms', 'else the run is inconclusive: the generator was the limit, not the mesh'],
}
export { Zones }
export const Relays = relays(4)

export const Profiles = [{ profile: 'steady', rate: '1/s', packet_size: 'uniform(100,300)', direction: 'both', flow_check: 'full' }]

export const Clients = [
  {
    client: 'c-{n}',
    count: 10_000,
    enabled: 'yes',
    zone: 'here',
    application: 'steady',
    profile: 'steady',
    relays: 'nearest',
    carrier: 'auto',
    note: 'c-1 talks with c-2, c-3 with c-4 …',
  },
]

export const Limits = [
  ...always,
  limit('all_open', 'connections_failed', 'value', '=', 0),
  limit('response', 'response_time', 'p(99)', '<=', '250ms', { note: 'from when a message was due' }),
  limit('send_delay', 'send_delay', 'p(99)', '<=', '100ms', { note: 'the generator keeps pace' }),
  limit('relay_memory', 'relay_rss', 'max', '<=', '1GB', { note: 'of each relay; live only', severity: 'warn' }),
  limit('no_favourite', 'path_share', 'max', '<=', '60%', {
    note: 'of four relays none carries most of the connections: ranking spreads equals',
  }),
]
