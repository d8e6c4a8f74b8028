// The source of paths-split.xlsx: three shares of every packet on three relays, all needed; a relay that dies is replaced from a fresh cut.
import { always, Clients, fault, limit, profiles, Relays, run, Zones } from './parts/paths.mjs'

export const Run = run('paths-split', '30s')
export const Profiles = profiles('split(3)')
export { Clients, Relays, Zones }

export const Faults = [fault('kill', 'at(8s)', 'kill'), fault('freeze', 'at(18s)', 'pause')]

export const Limits = [
  ...always,
  limit('stall_kill', 'stall', 'max', '<=', '100ms', '', { filter: 'action:kill' }),
  limit('stall_freeze', 'stall', 'max', '<=', '600ms', '', { filter: 'action:pause' }),
  limit(
    'shares',
    'relay_bytes_seen',
    'avg',
    '>=',
    '1MB',
    'three relays and more carry a share of everything; of best, one carries all and the rest nothing',
  ),
]
