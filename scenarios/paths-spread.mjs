// The source of paths-spread.xlsx: two relays, and the way to each carries 400 KB/s of an attachment. One connection wants to send 660 KB/s:
// `best` falls behind from the first second on, `spread` carries it over both.
import { relays } from './parts/common.mjs'
import { always, limit, run, Zones } from './parts/paths.mjs'

export const Run = run('paths-spread', '30s')
export { Zones }
export const Relays = relays(2)
export const Links = [{ from: 'here', to: 'here', rtt: '10ms', bandwidth: '400KB/s' }]

export const Profiles = [
  { profile: 'source', direction: 'send' },
  { profile: 'sink', direction: 'receive' },
].map((row) => ({ rate: '660/s', packet_size: 'const(1000)', paths: 'spread', flow_check: 'full', ...row }))

export const Clients = ['source', 'sink'].map((client) => ({
  client,
  enabled: 'yes',
  zone: 'here',
  application: 'bulk',
  profile: client,
  relays: 'nearest',
  carrier: 'auto',
}))

export const Limits = [
  ...always,
  limit('throughput', 'goodput', 'value', '>=', '640KB/s', '1.6 times what the way over one relay carries'),
  limit('both', 'relay_bytes_seen', 'min', '>=', '5MB', 'each relay carries its part'),
  limit('queue', 'response_time', 'p(99)', '<=', '3s', 'it keeps pace: nothing waits longer and longer'),
]
