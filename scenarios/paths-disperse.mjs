// The source of paths-disperse.xlsx: three shares of every packet on three relays, two are enough, and one of them is killed, frozen or lies.
import { always, Clients, fault, limit, profiles, Relays, run, Zones } from './parts/paths.mjs'

export const Run = run('paths-disperse', '40s')
export const Profiles = profiles('disperse(2,3)')
export { Clients, Relays, Zones }

export const Faults = [
  fault('kill', 'at(8s)', 'kill'),
  fault('freeze', 'at(18s)', 'pause'),
  fault('lies', 'at(28s)', 'corrupt', { p1: '2000', note: 'one byte in 2 000 is changed' }),
]

export const Limits = [
  ...always,
  limit('stall', 'stall', 'max', '<=', '60ms', 'a message comes each 9 ms; best pauses for 150 ms and more when a relay falls silent', {
    filter: 'fault:kill,freeze',
  }),
]
