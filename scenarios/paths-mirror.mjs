// The source of paths-mirror.xlsx: every packet on two relays, and one of them is killed, frozen, cut, or swallows one direction.
import { always, Clients, fault, limit, profiles, Relays, run, Zones } from './parts/paths.mjs'

export const Run = run('paths-mirror', '50s')
export const Profiles = profiles('mirror(2)')
export { Clients, Relays, Zones }

export const Faults = [
  fault('kill', 'at(8s)', 'kill'),
  fault('freeze', 'at(18s)', 'pause'),
  fault('hole', 'at(28s)', 'blackhole', { note: 'nothing comes through, and nobody is told' }),
  fault('down', 'at(38s)', 'one_way', { p1: 'down', note: 'nothing comes from the relay; it still hears' }),
]

export const Limits = [
  ...always,
  limit('stall', 'stall', 'max', '<=', '60ms', 'a message comes each 9 ms; best pauses for 150 ms and more when a relay falls silent'),
]
