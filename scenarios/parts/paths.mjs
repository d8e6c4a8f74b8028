// What the workbooks of ways to use relays have in common: five relays, four connections of 110 messages a second each way, three of them hit by
// each fault, and limits that the way has to hold and plain `best` would not.

import { relays } from './common.mjs'

export { always, Zones } from './common.mjs'

const pairs = 4

export const Relays = relays(5)

/** @param paths what the cell `paths` says */
export function profiles(paths) {
  return [{ profile: 'measured', rate: '110/s', packet_size: 'const(200)', direction: 'both', paths, flow_check: 'full' }]
}

/** One row a client: 1 talks with 2, 3 with 4 … */
export const Clients = Array.from({ length: pairs * 2 }, (_, i) => ({
  client: `c${i + 1}`,
  enabled: 'yes',
  zone: 'here',
  application: 'drill',
  profile: 'measured',
  relays: 'nearest',
  carrier: 'auto',
}))

export function run(name, duration) {
  return {
    name: [name],
    seed: [1],
    duration: [duration, 'how long the clients send'],
    warmup: ['6s', 'clients attach, agree on a plan and open their paths'],
    drain: ['15s'],
    ramp_limit: ['20/s'],
    loop_delay_p99_max: ['50ms'],
  }
}

/** One fault on a relay that carries most. */
export function fault(name, when, action, more = {}) {
  return { fault: name, when, duration: '4s', target: 'busiest(relay:*)', action, heal: 'auto', expect: 'survive', ...more }
}

export function limit(name, metric, stat, op, value, note, more = {}) {
  return { limit: name, metric, stat, op, value, window: 'run', severity: 'fail', note, ...more }
}
