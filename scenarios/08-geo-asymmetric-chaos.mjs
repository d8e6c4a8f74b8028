// The source of 08-geo-asymmetric-chaos.xlsx: three regions whose links are good in one direction and bad in the other, one after the other, with relays
// dying in between. Nothing may be lost, and no connection may stand still for long.
import { always } from './parts/common.mjs'
import { everyWay, meshOver, Profiles, run } from './parts/geo.mjs'
import { hits, limit } from './parts/limits.mjs'

const names = ['us', 'eu', 'jp']

export const Run = run('08-geo-asymmetric-chaos', '130s', { drain: ['20s'] })
const mesh = meshOver(names)
export const { Zones, Relays } = mesh
// The way to Tokyo is narrow, the way back is not.
export const Links = mesh.Links.map((row) => (row.to === 'jp' && row.from !== 'jp' ? { ...row, bandwidth: '256KB/s' } : row))
export { Profiles }
export const Clients = everyWay(names, { measured: 1, talk: 2 })

export const Faults = [
  {
    fault: 'deaf',
    when: 'at(20s)',
    duration: '8s',
    target: 'relay:us-*',
    action: 'one_way',
    p1: 'down',
    note: 'Washington hears and is not heard',
  },
  {
    fault: 'mute',
    when: 'at(36s)',
    duration: '8s',
    target: 'link:eu>us',
    action: 'one_way',
    p1: 'up',
    note: 'what Frankfurt says never reaches Washington',
  },
  { fault: 'slow', when: 'at(52s)', duration: '10s', target: 'zone:jp', action: 'latency', p1: '150ms', p2: '50ms' },
  { fault: 'kill', when: 'at(56s)', duration: '5s', target: 'busiest(relay:*)', action: 'kill', note: 'while Tokyo is slow' },
  { fault: 'leaky', when: 'at(70s)', duration: '10s', target: 'link:us>eu', action: 'loss', p1: '5%', p2: '200ms' },
  {
    fault: 'clog',
    when: 'at(88s)',
    duration: '12s',
    target: 'relay:eu-*',
    action: 'swizzle_clog',
    note: 'links stop one after the other and come back in another order',
  },
  { fault: 'resets', when: 'at(108s)', duration: '6s', target: 'zone:eu', action: 'reset_peer', p1: '2s' },
].map((row) => ({ heal: 'auto', expect: 'survive', ...row }))

export const Limits = [
  ...always,
  limit('stall_cuts', 'stall', 'p(99)', '<=', '6s', {
    filter: 'fault:deaf,mute; tag:measured',
    note: 'half a cut is noticed by the half that still works',
  }),
  limit('stall_kill', 'stall', 'p(99)', '<=', '1s', { filter: 'fault:kill; tag:measured' }),
  limit('stall_rest', 'stall', 'p(99)', '<=', '3s', { filter: 'fault:clog,resets; tag:measured' }),
  hits('hits_deaf', 'fault:deaf', 'max'),
  hits('hits_kill', 'fault:kill'),
]
