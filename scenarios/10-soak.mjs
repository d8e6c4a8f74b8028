// The source of 10-soak.xlsx: an hour of a thousand clients, with a fault every few minutes, drawn from the seed. What leaks, drifts or fills up does not
// show in a minute.
import { always, relays, Zones } from './parts/common.mjs'
import { hits, limit } from './parts/limits.mjs'

export const Run = {
  name: ['10-soak'],
  seed: [1],
  duration: ['1h', 'how long the clients send'],
  warmup: ['60s'],
  drain: ['30s'],
  ramp_limit: ['50/s'],
  loop_delay_p99_max: ['50ms'],
}
export { Zones }
export const Relays = relays(4)

export const Profiles = [
  { profile: 'talk', rate: '0.2/s', packet_size: 'lognormal(200,0.8)' },
  { profile: 'bulk', rate: '0.02/s', packet_size: 'uniform(4KiB,64KiB)' },
].map((row) => ({ ...row, direction: 'both', flow_check: 'full' }))

export const Clients = [
  { client: 'talk-{n}', count: 980, profile: 'talk' },
  { client: 'bulk-{n}', count: 20, profile: 'bulk' },
].map((row) => ({ enabled: 'yes', zone: 'here', application: 'soak', relays: 'nearest', carrier: 'auto', ...row }))

// Five in a hundred, so that nothing else falls into the upgrade whatever the seed.
export const Faults = [
  { fault: 'kill', when: 'every(7m,±5%)', duration: '20s', target: 'busiest(relay:*)', action: 'kill' },
  { fault: 'freeze', when: 'every(11m,±5%)', duration: '10s', target: 'busiest(relay:*)', action: 'pause' },
  { fault: 'silence', when: 'every(13m,±5%)', duration: '20s', target: 'busiest(relay:*)', action: 'blackhole' },
  {
    fault: 'upgrade',
    when: 'at(30m)',
    duration: '0s',
    target: 'relay:*',
    action: 'rolling_restart',
    p1: '20s',
    note: 'every relay, one after the other',
  },
].map((row) => ({ heal: 'auto', expect: 'survive', ...row }))

export const Limits = [
  ...always,
  limit('all_open', 'connections_failed', 'value', '=', 0),
  limit('response', 'response_time', 'p(99)', '<=', '500ms', { note: 'over the whole hour, faults included' }),
  limit('steady', 'response_time', 'p(99)', '<=', '100ms', { window: 'steady', note: 'away from the faults' }),
  limit('memory', 'relay_rss', 'max', '<=', '300MB', { severity: 'warn', note: 'of each relay; live only' }),
  hits('hits', 'action:kill'),
]
