// The source of faults-directory.xlsx: the list of relays is gone, broken or old, and then a relay is lost too.
import { always, Profiles, Relays, run, stalls, talkers, Zones } from './parts/faults.mjs'

export const Run = run('76s', { name: ['faults-directory'] })
export { Profiles, Relays, Zones }
export const Clients = talkers(4)

const states = ['missing', 'corrupt', 'older', 'empty']
export const Faults = states.flatMap((how, i) => [
  {
    fault: `list_${how}`,
    when: `at(${6 + i * 17}s)`,
    duration: '13s',
    target: 'client:*',
    action: 'directory_down',
    p1: how,
    heal: 'auto',
    expect: 'survive',
  },
  {
    fault: `kill_${how}`,
    when: `at(${14 + i * 17}s)`,
    duration: '3s',
    target: 'busiest(relay:*)',
    action: 'kill',
    heal: 'auto',
    expect: 'survive',
    note: 'who had taken what the list says now would be left alone',
  },
])

export const Limits = [
  ...always,
  ...stalls(
    'list',
    states.map((how) => `list_${how}`),
    '50ms',
    'who has a list keeps it (the kill, 8 s later, included)',
  ),
  ...stalls(
    'kill',
    states.map((how) => `kill_${how}`),
    '50ms',
  ),
]
