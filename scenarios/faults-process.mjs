// The source of faults-process.xlsx: what can befall the process of a relay.
import { always, inTurn, Profiles, Relays, run, stalls, talkers, Zones } from './parts/faults.mjs'

export const Run = run('94s', { name: ['faults-process'] })
export { Profiles, Relays, Zones }
export const Clients = talkers(4)

export const Faults = inTurn(8, 12, [
  { fault: 'kill', duration: '3s', action: 'kill', note: 'kill -9' },
  { fault: 'freeze', duration: '4s', action: 'pause', note: 'SIGSTOP: its sockets stay open and nothing comes out of them' },
  { fault: 'slow', duration: '4s', action: 'cpu_hog', p1: '80%', p2: '100ms', note: 'it stands still for 80 of each 100 ms' },
  { fault: 'descriptors', duration: '4s', action: 'fd_exhaust', note: 'it can accept nobody; who is attached stays' },
  { fault: 'disk', duration: '4s', action: 'disk_full', note: 'it may write to no file: it has none' },
  { fault: 'restarted', action: 'restart', p1: 'same_key', note: 'SIGTERM: it drains, ends and starts again' },
  { fault: 'rekeyed', action: 'restart', p1: 'new_key', note: 'the same with a new key and certificate' },
])

export const Limits = [
  ...always,
  ...stalls('kill', ['kill'], '50ms'),
  ...stalls('freeze', ['freeze'], '500ms'),
  ...stalls('slow', ['slow'], '500ms'),
  ...stalls('scarce', ['descriptors', 'disk'], '150ms', 'who is attached notices nothing'),
  ...stalls('restart', ['restarted', 'rekeyed'], '150ms'),
]
