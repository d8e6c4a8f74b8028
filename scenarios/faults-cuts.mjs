// The source of faults-cuts.xlsx: networks that cut, silence, refuse or come and go.
import { always, inTurn, Profiles, Relays, run, stalls, talkers, Zones } from './parts/faults.mjs'

export const Run = run('154s', { name: ['faults-cuts'] })
export { Profiles, Relays, Zones }
export const Clients = talkers(4)

export const Faults = inTurn(8, 12, [
  { fault: 'cut', duration: '4s', action: 'cut', note: 'connections are reset and new ones refused' },
  { fault: 'silent', duration: '4s', action: 'blackhole', note: 'nothing comes through, and nobody is told' },
  { fault: 'up', duration: '4s', action: 'one_way', p1: 'up', note: 'nothing reaches the relay; its own words still come' },
  { fault: 'down', duration: '4s', action: 'one_way', p1: 'down', note: 'nothing comes from the relay; it still hears' },
  { fault: 'resets', duration: '6s', action: 'reset_peer', p1: '1s', note: 'every connection is reset each second' },
  { fault: 'half', duration: '0s', action: 'half_open', note: 'the relay knows that a connection is over, the client does not' },
  { fault: 'flaps', duration: '8s', action: 'flap', p1: '2s', p2: '2s', note: 'two seconds gone, two seconds there' },
  {
    fault: 'clogs',
    duration: '6s',
    target: 'zone:here',
    action: 'swizzle_clog',
    note: 'links stop one after the other and come back in another order',
  },
  { fault: 'closed', duration: '4s', action: 'refuse', note: 'new connections are refused, those that live go on' },
  { fault: 'rebind', duration: '0s', action: 'nat_rebind', p1: 'reset', note: 'the clients come back from another address of 127.0.0.x' },
  {
    fault: 'rebind_silent',
    duration: '0s',
    action: 'nat_rebind',
    p1: 'silent',
    note: 'the same, and nobody is told that the old one is dead',
  },
  {
    fault: 'moved',
    duration: '0s',
    target: 'client:c01',
    action: 'nat_rebind',
    p1: 'reset',
    note: 'all connections of one client at once',
  },
])

export const Limits = [
  ...always,
  ...stalls('told', ['cut', 'resets', 'rebind'], '100ms', 'a connection that is reset is one that is told'),
  ...stalls('silent', ['silent', 'up', 'down', 'half', 'flaps', 'rebind_silent'], '500ms', 'silence has to be noticed first'),
  ...stalls('clogs', ['clogs'], '6s', 'for a while every link may stand still'),
  ...stalls('closed', ['closed'], '150ms', 'who is attached notices nothing'),
  ...stalls('moved', ['moved'], '1s', 'a client without any connection dials again'),
]
