// The source of faults-clock.xlsx: relays whose clocks are wrong. No rule that decides about a byte uses a clock.
import { always, inTurn, Profiles, Relays, run, stalls, talkers, Zones } from './parts/faults.mjs'

export const Run = run('82s', { name: ['faults-clock'] })
export { Profiles, Relays, Zones }
export const Clients = talkers(4)

export const Faults = inTurn(8, 12, [
  { fault: 'ahead', duration: '4s', action: 'clock_offset', p1: '+1h', note: 'the date of a running relay jumps' },
  { fault: 'behind', duration: '4s', action: 'clock_offset', p1: '-1h' },
  {
    fault: 'starts_ahead',
    duration: '5s',
    action: 'clock_offset',
    p1: '+1h',
    p2: 'restart',
    note: 'it starts again at the wrong time, and serves',
  },
  { fault: 'starts_behind', duration: '5s', action: 'clock_offset', p1: '-1h', p2: 'restart' },
  { fault: 'fast', duration: '6s', action: 'clock_drift', p1: '5%', note: 'its clock gains 50 ms a second, its timers do not' },
  { fault: 'slow', duration: '6s', action: 'clock_drift', p1: '-5%' },
])

export const Limits = [
  ...always,
  ...stalls('jumps', ['ahead', 'behind', 'fast', 'slow'], '150ms', 'nobody notices'),
  ...stalls('starts', ['starts_ahead', 'starts_behind'], '150ms', 'it drains first, as in any restart'),
]
