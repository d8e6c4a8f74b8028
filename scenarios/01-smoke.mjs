// The source of 01-smoke.xlsx: is everything in place? Ten clients, three relays, one kill, in less than twenty seconds from start to report.
import { always, relays, Zones } from './parts/common.mjs'
import { hits, limit } from './parts/limits.mjs'

export const Run = {
  name: ['01-smoke'],
  seed: [1],
  duration: ['9s', 'how long the clients send'],
  warmup: ['2s', 'clients attach and find their relays'],
  drain: ['5s', 'at most'],
  ramp_limit: ['50/s'],
  loop_delay_p99_max: ['50ms'],
}
export { Zones }
export const Relays = relays(3)

export const Profiles = [
  { profile: 'measured', rate: '110/s' },
  { profile: 'talk', rate: '5/s' },
].map((row) => ({ ...row, packet_size: 'uniform(100,300)', direction: 'both', flow_check: 'full' }))

// One row a client: 1 talks with 2, 3 with 4 …
export const Clients = Array.from({ length: 10 }, (_, i) => ({
  client: `c${String(i + 1).padStart(2, '0')}`,
  enabled: 'yes',
  tags: i < 4 ? 'measured' : '',
  zone: 'here',
  application: 'smoke',
  profile: i < 4 ? 'measured' : 'talk',
  relays: 'nearest',
  carrier: 'auto',
}))

export const Faults = [
  {
    fault: 'kill',
    when: 'at(4s)',
    duration: '2s',
    target: 'busiest(relay:*)',
    action: 'kill',
    heal: 'auto',
    expect: 'survive',
    note: 'kill -9 of the relay that carries most, started again after 2 s',
  },
]

export const Limits = [
  ...always,
  limit('all_open', 'connections_failed', 'value', '=', 0),
  limit('response', 'response_time', 'p(50)', '<=', '50ms'),
  limit('stall', 'stall', 'p(99)', '<=', '500ms', { filter: 'action:kill; tag:measured', note: 'with one relay only it is more than 2 s' }),
  hits('hits', 'action:kill'),
]
