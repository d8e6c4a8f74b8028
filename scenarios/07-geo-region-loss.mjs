// The source of 07-geo-region-loss.xlsx: three regions, two relays in each, and a whole region of relays is gone at once (a power cut, a bad rollout),
// then another region is cut off from the network without a word. Everybody goes on over what is left.
import { always } from './parts/common.mjs'
import { everyWay, meshOver, Profiles, run } from './parts/geo.mjs'
import { hits, limit } from './parts/limits.mjs'

const names = ['us', 'eu', 'jp']

export const Run = run('07-geo-region-loss', '100s')
export const { Zones, Links, Relays } = meshOver(names)
export { Profiles }
export const Clients = everyWay(names, { measured: 1, talk: 2 })

export const Faults = [
  { fault: 'eu_dies', when: 'at(20s)', duration: '15s', target: 'relay:eu-*', action: 'kill', note: 'both relays of Frankfurt at once' },
  {
    fault: 'us_silent',
    when: 'at(60s)',
    duration: '15s',
    target: 'relay:us-*',
    action: 'blackhole',
    note: 'both relays of Washington: nothing comes through, nobody is told',
  },
].map((row) => ({ heal: 'auto', expect: 'survive', ...row }))

export const Limits = [
  ...always,
  limit('stall_dies', 'stall', 'p(99)', '<=', '800ms', {
    filter: 'fault:eu_dies; tag:measured',
    note: 'the next region is up to 233 ms away',
  }),
  limit('stall_silent', 'stall', 'p(99)', '<=', '3s', {
    filter: 'fault:us_silent; tag:measured',
    note: 'silence must be noticed first, of one relay of the region and then of the other',
  }),
  limit('meanwhile', 'response_time', 'p(50)', '<=', '130ms', {
    window: 'during:eu_dies',
    note: 'without Frankfurt, its clients talk over Washington',
  }),
  hits('hits_dies', 'fault:eu_dies', 'max'),
  hits('hits_silent', 'fault:us_silent', 'max'),
]
