// The source of faults-sleep.xlsx: machines of clients that sleep. For the simulated world (`--virtual`): live clients share one process.
import { always, Profiles, Relays, run, stalls, talkers, Zones } from './parts/faults.mjs'

export const Run = run('260s', { name: ['faults-sleep'], drain: ['30s'] })
export { Profiles, Relays, Zones }
export const Clients = talkers(3)

export const Faults = [
  { fault: 'blink', when: 'at(10s)', duration: '3s', target: 'client:c01' },
  { fault: 'nap', when: 'at(30s)', duration: '20s', target: 'client:c02', note: 'longer than a relay waits for a pong' },
  {
    fault: 'sleep',
    when: 'at(70s)',
    duration: '100s',
    target: 'client:c03',
    expect: 'outage',
    note: 'almost as long as a connection lives without a path',
  },
  { fault: 'both', when: 'at(200s)', duration: '15s', target: 'client:c0*', expect: 'outage', note: 'everybody at once' },
].map((row) => ({ action: 'sleep', heal: 'auto', expect: 'outage', ...row }))

export const Limits = [
  ...always,
  ...stalls('blink', ['blink'], '3200ms', 'the sleep itself and one round trip'),
  {
    limit: 'back_to_rate',
    metric: 'recover_to_rate_time',
    filter: 'fault:nap,both',
    stat: 'max',
    op: '<=',
    value: '26s',
    window: 'run',
    severity: 'fail',
  },
]
