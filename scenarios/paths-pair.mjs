// The source of paths-pair.xlsx: a relay for each direction, and only the one that fails is replaced.
import { always, Clients, fault, limit, profiles, Relays, run, Zones } from './parts/paths.mjs'

export const Run = run('paths-pair', '40s')
export const Profiles = profiles('pair')
export { Clients, Relays, Zones }

export const Faults = [fault('kill', 'at(20s)', 'kill')]

export const Limits = [
  ...always,
  limit('seen', 'relay_bytes_seen', 'max', '<=', '1.5MB', 'one direction and the acks of the other; of best, one relay sees both'),
  limit('stall', 'stall', 'max', '<=', '60ms', ''),
]
