// The source of faults-bytes.xlsx: networks that carry bytes badly, or something else than bytes of ours.
import { always, inTurn, Profiles, Relays, run, stalls, talkers, Zones } from './parts/faults.mjs'

export const Run = run('154s', { name: ['faults-bytes'] })
export { Profiles, Relays, Zones }
export const Clients = talkers(4)

export const Faults = inTurn(8, 12, [
  { fault: 'far', duration: '4s', action: 'latency', p1: '375ms', note: 'a round trip of 750 ms to the relay in use' },
  {
    fault: 'lossy',
    duration: '4s',
    action: 'loss',
    p1: '1%',
    p2: '200ms',
    note: 'one packet in a hundred comes 200 ms late, and the rest waits behind it',
  },
  { fault: 'narrow', duration: '4s', action: 'bandwidth', p1: '30KB/s', note: 'less than what is sent' },
  { fault: 'crumbs', duration: '4s', action: 'slice', p1: 64, p2: '1ms', note: 'no piece is larger than 64 bytes' },
  { fault: 'mtu', duration: '4s', action: 'mtu', p1: 200, note: 'small packets pass, large ones vanish, and nobody is told' },
  { fault: 'capped', duration: '4s', action: 'limit_data', p1: '100KB', note: 'a connection is reset when it has carried so much' },
  { fault: 'flips', duration: '4s', action: 'corrupt', p1: '20KB', note: 'one wrong byte in each 20 KB' },
  { fault: 'doubles', duration: '4s', action: 'duplicate_frame', p1: '1%', note: 'live, pieces of the stream come twice' },
  { fault: 'swaps', duration: '4s', action: 'reorder_frame', p1: '1%', note: 'live, pieces of the stream change places' },
  { fault: 'captive', duration: '4s', action: 'captive', note: 'everything is answered by a page with status 200' },
  { fault: 'names', duration: '4s', target: 'zone:here', action: 'dns_gone', note: 'no name is found; who is attached stays' },
  { fault: 'slow_ends', duration: '4s', action: 'slow_close', p1: '2s', note: 'the end of a connection is told late' },
])

export const Limits = [
  ...always,
  ...stalls('far', ['far'], '800ms'),
  ...stalls('lossy', ['lossy'], '500ms'),
  ...stalls('narrow', ['narrow'], '1500ms', 'what was on the way comes slowly'),
  ...stalls('crumbs', ['crumbs'], '1s'),
  ...stalls('mtu', ['mtu'], '500ms'),
  ...stalls('broken', ['capped', 'flips', 'doubles', 'swaps'], '200ms', 'the seal of a hop refuses what is wrong, and the way is given up'),
  ...stalls('captive', ['captive'], '100ms'),
  ...stalls('unfelt', ['names', 'slow_ends'], '150ms', 'who is attached notices nothing'),
]
