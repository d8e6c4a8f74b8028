// The source of 09-diversity.xlsx: every way to use several relays (`paths`) at once, side by side on one mesh, under the same faults: a kill, a freeze, and
// a relay that is cut off in silence. One look at its report shows what each way costs and gives.
import { always, relays, Zones } from './parts/common.mjs'
import { hits, limit } from './parts/limits.mjs'

/** Tag, cell `paths`, connections. */
const ways = [
  ['best', 'best'],
  ['pair', 'pair'],
  ['rotate', 'rotate(secret,2s)'],
  ['spread', 'spread'],
  ['mirror', 'mirror(2)'],
  ['split', 'split(3)'],
  ['disperse', 'disperse(2,3)'],
]

export const Run = {
  name: ['09-diversity'],
  seed: [1],
  duration: ['50s', 'how long the clients send'],
  warmup: ['8s', 'clients attach, agree on a plan and open their paths'],
  drain: ['15s'],
  ramp_limit: ['20/s'],
  loop_delay_p99_max: ['50ms'],
}
export { Zones }
export const Relays = relays(5)

export const Profiles = ways.map(([profile, paths]) => ({
  profile,
  rate: '110/s',
  packet_size: 'const(200)',
  direction: 'both',
  paths,
  flow_check: 'full',
}))

// One connection a way, and another one with the ends the other way round.
export const Clients = ways.flatMap(([way]) =>
  ['1', '2', '3', '4'].map((n) => ({
    client: `${way}-${n}`,
    enabled: 'yes',
    tags: way,
    zone: 'here',
    application: 'diversity',
    profile: way,
    relays: 'nearest',
    carrier: 'auto',
  })),
)

export const Faults = [
  { fault: 'kill', when: 'at(12s)', action: 'kill' },
  { fault: 'freeze', when: 'at(24s)', action: 'pause' },
  { fault: 'silence', when: 'at(36s)', action: 'blackhole' },
].map((row) => ({ duration: '4s', target: 'busiest(relay:*)', heal: 'auto', expect: 'survive', ...row }))

const tags = (...names) => `tag:${names.join(',')}`

export const Limits = [
  ...always,
  limit('stall_seamless', 'stall', 'max', '<=', '100ms', {
    filter: tags('mirror', 'disperse'),
    note: 'more copies or shares than are needed: a relay that falls silent costs nothing; best pays 200 ms and more',
  }),
  limit('stall_kill', 'stall', 'max', '<=', '250ms', { filter: `action:kill; ${tags('best', 'pair', 'rotate', 'spread', 'split')}` }),
  limit('stall_others', 'stall', 'max', '<=', '1s', {
    filter: tags('best', 'pair', 'rotate', 'spread', 'split'),
    note: 'silence must be noticed first',
  }),
  limit('latest', 'response_time', 'max', '<=', '2s', { note: 'whoever the faults hit, and whenever it was due: no message is later' }),
  hits('hits', 'action:kill,pause,blackhole'),
]
