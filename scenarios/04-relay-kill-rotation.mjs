// The source of 04-relay-kill-rotation.xlsx: every relay of the mesh dies once, one after the other, each back before the next but one dies. A mesh that
// survives this can be taken apart for repair at any time of the day.
import { always, relays, Zones } from './parts/common.mjs'
import { hits, limit } from './parts/limits.mjs'

const count = 5
const firstS = 10
const everyS = 9

export const Run = {
  name: ['04-relay-kill-rotation'],
  seed: [1],
  duration: [`${firstS + (count + 1) * everyS}s`, 'how long the clients send'],
  warmup: ['8s'],
  drain: ['10s'],
  ramp_limit: ['20/s'],
  loop_delay_p99_max: ['50ms'],
}
export { Zones }
export const Relays = relays(count)

export const Profiles = [
  { profile: 'measured', rate: '110/s' },
  { profile: 'talk', rate: '5/s' },
].map((row) => ({ ...row, packet_size: 'uniform(100,300)', direction: 'both', paths: 'best', flow_check: 'full' }))

// One row a client: 1 talks with 2, 3 with 4 … Four connections of twenty have the traffic that a stall can be told in.
export const Clients = Array.from({ length: 40 }, (_, i) => ({
  client: `c${String(i + 1).padStart(2, '0')}`,
  enabled: 'yes',
  tags: i % 10 < 2 ? 'measured' : '',
  zone: 'here',
  application: 'rotation',
  profile: i % 10 < 2 ? 'measured' : 'talk',
  relays: 'nearest',
  carrier: 'auto',
}))

export const Faults = [
  ...Array.from({ length: count }, (_, i) => ({
    fault: `kill_r${i + 1}`,
    when: `at(${firstS + i * everyS}s)`,
    target: `relay:r${i + 1}`,
    note: 'kill -9, started again after 4 s',
  })),
  {
    fault: 'kill_busiest',
    when: `at(${firstS + count * everyS}s)`,
    target: 'busiest(relay:*)',
    note: 'and the one that carries most by now',
  },
].map((row) => ({ duration: '4s', action: 'kill', heal: 'auto', expect: 'survive', ...row }))

export const Limits = [
  ...always,
  limit('stall', 'stall', 'p(99)', '<=', '250ms', {
    filter: 'action:kill; tag:measured',
    note: 'over all connections that the killed relays carried',
  }),
  limit('detect', 'detect_time', 'p(99)', '<=', '250ms', { note: 'until an end knows that its relay is gone' }),
  limit('every_connection_moves', 'failover_connections', 'max', '<=', '20', { note: 'no kill hits more connections than there are' }),
  hits('hits', 'fault:kill_busiest'),
]
