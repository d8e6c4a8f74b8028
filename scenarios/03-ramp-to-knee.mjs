// The source of 03-ramp-to-knee.xlsx: the load climbs in five steps up to what the mesh is meant to carry: 600 KB/s a connection over two relays, the way
// to each of which carries 400 KB/s. Below the knee latency must not change; `sennit test knee` goes on from here and finds where it breaks.
import { always, relays } from './parts/common.mjs'
import { limit } from './parts/limits.mjs'

export const Run = {
  name: ['03-ramp-to-knee'],
  seed: [1],
  duration: ['56s', 'how long the clients send'],
  warmup: ['5s'],
  drain: ['15s'],
  ramp_limit: ['20/s'],
  loop_delay_p99_max: ['50ms'],
}
export const Zones = [{ zone: 'here', label: 'this machine' }]
export const Relays = relays(2)
export const Links = [{ from: 'here', to: 'here', rtt: '10ms', bandwidth: '400KB/s' }]

export const Profiles = [
  { profile: 'source', direction: 'send' },
  { profile: 'sink', direction: 'receive' },
].map((row) => ({ rate: '600/s', packet_size: 'const(1000)', paths: 'spread', flow_check: 'full', ...row }))

export const Clients = ['1', '2'].flatMap((n) =>
  ['source', 'sink'].map((profile) => ({
    client: `${profile}-${n}`,
    enabled: 'yes',
    zone: 'here',
    application: 'bulk',
    profile,
    relays: 'nearest',
    carrier: 'auto',
  })),
)

export const Phases = [
  { phase: 'climb', start: '6s', duration: '50s', target: '*', executor: 'stairs', from: '20%', to: '100%', step: '20%', hold: '10s' },
]

export const Limits = [
  ...always,
  limit('response', 'response_time', 'p(99)', '<=', '250ms', { note: 'the same at every step: below the knee nothing waits' }),
  limit('send_delay', 'send_delay', 'p(99)', '<=', '100ms', { note: 'the generator keeps pace; else it was the limit' }),
  limit('both', 'relay_bytes_seen', 'min', '>=', '3MB', { note: 'each relay carries its part' }),
]
