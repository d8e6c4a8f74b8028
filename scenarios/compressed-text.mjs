// The source of compressed-text.xlsx: messages that compress, beside connections that do not, while a relay is killed.
import { always, Relays, run, Zones } from './parts/faults.mjs'

export const Run = run('25s', { name: ['compressed-text'] })
export { Relays, Zones }

export const Profiles = [
  { profile: 'always', compression: 'always' },
  { profile: 'auto', compression: 'auto' },
  { profile: 'plain', compression: 'none' },
].map((row) => ({ packet_size: 'uniform(500,3000)', rate: '110/s', direction: 'both', flow_check: 'full', ...row }))

/** Two of each: 1 talks with 2. */
export const Clients = Profiles.flatMap(({ profile }) =>
  ['1', '2'].map((end) => ({ client: `${profile}-${end}`, zone: 'here', application: 'text', profile, relays: 'nearest' })),
)

export const Faults = [
  { fault: 'kill', when: 'at(12s)', duration: '3s', target: 'busiest(relay:*)', action: 'kill', heal: 'auto', expect: 'survive' },
]

export const Limits = [
  ...always,
  {
    limit: 'smaller',
    metric: 'compression_ratio',
    stat: 'value',
    op: '<=',
    value: '75%',
    note: 'sixteen letters, evenly: half, and a head',
  },
].map((row) => ({ window: 'run', severity: 'fail', ...row }))
