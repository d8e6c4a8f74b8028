// The source of paths-rotate.xlsx: each direction moves every two seconds, when and where by a secret; no relay sees more than its turns.
import { always, Clients, fault, limit, profiles, Relays, run, Zones } from './parts/paths.mjs'

export const Run = run('paths-rotate', '40s')
export const Profiles = profiles('rotate(secret,2s)')
export { Clients, Relays, Zones }

export const Faults = [fault('kill', 'at(10s)', 'kill'), fault('freeze', 'at(22s)', 'pause')]

export const Limits = [
  ...always,
  limit('seen', 'relay_bytes_seen', 'max', '<=', '1.2MB', 'a third of what a connection moves; of best, one relay sees all of it'),
  limit('stall', 'stall', 'max', '<=', '600ms', 'as best'),
]
