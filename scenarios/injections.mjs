// The source of injections.xlsx: every misbehaviour of the column `inject`, each by a client of its own pair. Four good clients must not notice, and
// what must be refused is refused: a relay that keeps a stranger, or lets somebody in without the key, fails the run.
import { always, Relays, run, talkers, Zones } from './parts/faults.mjs'

export const Run = run('36s', { name: ['injections'] })
export { Relays, Zones }

export const Profiles = [
  { profile: 'measured', rate: '110/s', packet_size: 'uniform(100,300)' },
  { profile: 'bad', rate: '20/s', packet_size: 'uniform(100,300)' },
].map((row) => ({ direction: 'both', flow_check: 'full', ...row }))

const bad = {
  resets: 'at(8s):reset; at(12s):reset; poisson(0.2/s):flip(1)',
  silent: 'at(8s):half_open; at(16s):vanish(4s)',
  slow: 'at(8s):stall_read(6s)',
  thief: 'at(8s):bad_password; at(9s):duplicate_id',
  stranger: 'at(8s):garbage(64KiB); at(9s):oversize(64MiB); at(10s):never_authenticate',
}

export const Clients = [
  ...talkers(2).map((row) => ({ ...row, tags: 'good' })),
  ...Object.entries(bad).flatMap(([client, inject]) => [
    { client, zone: 'here', application: 'bad', profile: 'bad', tags: 'bad', peer: `${client}-peer`, inject },
    { client: `${client}-peer`, zone: 'here', application: 'bad', profile: 'bad', tags: 'bad', peer: '*' },
  ]),
]

export const Limits = [
  ...always,
  {
    limit: 'others',
    metric: 'response_time',
    stat: 'p(50)',
    op: '<=',
    value: '100ms',
    window: 'run',
    severity: 'fail',
    note: 'two of three messages are of good clients',
  },
]
