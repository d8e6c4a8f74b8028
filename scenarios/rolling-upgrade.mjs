// The source of rolling-upgrade.xlsx: the whole mesh is started anew under load, twice: as for a new version, and with new keys.
import { always, Profiles, Relays, run, talkers, Zones } from './parts/faults.mjs'

export const Run = run('60s', { name: ['rolling-upgrade'] })
export { Profiles, Relays, Zones }
export const Clients = talkers(6)

export const Faults = [
  { fault: 'upgrade', when: 'at(8s)', p2: 'same_key', note: 'each relay drains, ends and starts again, one after the other' },
  { fault: 'rekey', when: 'at(32s)', p2: 'new_key', note: 'and again, each with a new key and certificate' },
].map((row) => ({ action: 'rolling_restart', target: 'relay:*', p1: '6s', heal: 'auto', expect: 'survive', ...row }))

export const Limits = [
  ...always,
  {
    limit: 'stall',
    metric: 'stall',
    filter: 'action:rolling_restart',
    stat: 'p(99)',
    op: '<=',
    value: '250ms',
    window: 'run',
    severity: 'fail',
  },
  {
    limit: 'hits',
    metric: 'failover_connections',
    filter: 'action:rolling_restart',
    stat: 'max',
    op: '>=',
    value: 1,
    window: 'run',
    severity: 'sometimes',
  },
]
