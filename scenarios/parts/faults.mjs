// What the workbooks of faults have in common: few connections, busy enough that a stall can be told, and the limits that always hold.

import { relays } from './common.mjs'

export { always, Zones } from './common.mjs'

/** `pairs` connections of 110 messages a second each way. One row a client: 1 talks with 2, 3 with 4 … */
export function talkers(pairs, more = () => ({})) {
  return Array.from({ length: pairs * 2 }, (_, i) => ({
    client: `c${String(i + 1).padStart(2, '0')}`,
    enabled: 'yes',
    zone: 'here',
    application: 'drill',
    profile: 'measured',
    relays: 'nearest',
    carrier: 'auto',
    ...more(i),
  }))
}

export const Profiles = [{ profile: 'measured', rate: '110/s', packet_size: 'uniform(100,300)', direction: 'both', flow_check: 'full' }]

export const Relays = relays(3)

export function run(duration, more = {}) {
  return {
    seed: [1],
    duration: [duration, 'how long the clients send'],
    warmup: ['5s'],
    drain: ['15s'],
    ramp_limit: ['20/s'],
    loop_delay_p99_max: ['50ms'],
    ...more,
  }
}

/** The stall of the connections that these faults hit, and that they hit somebody: an act that hits nobody proves nothing. */
export function stalls(limit, faults, value, note = '') {
  const filter = `fault:${faults.join(',')}`
  return [
    { limit: `stall_${limit}`, metric: 'stall', filter, stat: 'max', op: '<=', value, window: 'run', severity: 'fail', note },
    {
      limit: `hits_${limit}`,
      metric: 'failover_connections',
      filter,
      stat: 'min',
      op: '>=',
      value: 1,
      window: 'run',
      severity: 'sometimes',
    },
  ]
}

/** Acts one after the other, far enough apart that the stall of each is its own. */
export function inTurn(firstS, gapS, acts) {
  return acts.map((act, i) => ({ when: `at(${firstS + i * gapS}s)`, target: 'busiest(relay:*)', heal: 'auto', expect: 'survive', ...act }))
}
