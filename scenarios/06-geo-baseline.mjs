// The source of 06-geo-baseline.xlsx: four regions on four continents, two relays in each, and connections within every region and between every two.
// Nothing goes wrong: what it shows is which relay a pair chooses when the ends are far apart, and what the distance costs.
import { always } from './parts/common.mjs'
import { everyWay, meshOver, Profiles, run } from './parts/geo.mjs'
import { limit } from './parts/limits.mjs'

const names = ['us', 'eu', 'jp', 'br']

export const Run = run('06-geo-baseline', '40s')
export const { Zones, Links, Relays } = meshOver(names)
export { Profiles }
export const Clients = everyWay(names, { measured: 0, talk: 3 })

export const Limits = [
  ...always,
  limit('all_open', 'connections_failed', 'value', '=', 0),
  limit('farthest', 'response_time', 'p(99)', '<=', '215ms', {
    note: 'one way over the best relay is at most 142 ms (jp and br), and a lost packet costs a round trip once in a while',
  }),
  limit('middle', 'response_time', 'p(50)', '<=', '75ms', {
    note: 'half of the messages go at most so far when each pair has the relay that serves both best',
  }),
  limit('everywhere', 'path_share', 'max', '<=', '50%', { note: 'no relay carries half of the world: each region serves its own' }),
]
