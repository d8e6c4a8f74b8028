// The source of kinds-of-traffic.xlsx: messages in every key mode and datagrams, side by side, while a relay is killed and another one falls
// silent.
import { always, Relays, run, Zones } from './parts/faults.mjs'

export const Run = run('40s', { name: ['kinds-of-traffic'] })
export { Relays, Zones }

export const Profiles = [
  { profile: 'blind', key_mode: 'blind' },
  { profile: 'relay', key_mode: 'relay', note: 'the relays are given the key' },
  { profile: 'none', key_mode: 'none', note: 'nothing is sealed' },
  { profile: 'video', mode: 'datagram', packet_size: 'uniform(200,1200)' },
].map(({ note: _note, ...row }) => ({ rate: '110/s', packet_size: 'uniform(100,300)', direction: 'both', flow_check: 'full', ...row }))

/** Two of each: 1 talks with 2. */
export const Clients = Profiles.flatMap(({ profile }) =>
  ['1', '2'].map((end) => ({ client: `${profile}-${end}`, zone: 'here', application: 'kinds', profile, relays: 'nearest', tags: profile })),
)

export const Faults = [
  { fault: 'kill', when: 'at(12s)', duration: '3s', target: 'busiest(relay:*)', action: 'kill', heal: 'auto', expect: 'survive' },
  { fault: 'silence', when: 'at(24s)', duration: '3s', target: 'busiest(relay:*)', action: 'blackhole', heal: 'auto', expect: 'survive' },
]

export const Limits = [
  ...always,
  {
    limit: 'datagrams',
    metric: 'datagram_loss',
    stat: 'value',
    op: '<=',
    value: '3%',
    note: 'what was under way to a relay that died or fell silent; nothing is sent again',
  },
  {
    limit: 'datagrams_are_lost',
    metric: 'datagrams_missing',
    stat: 'value',
    op: '>=',
    value: 1,
    severity: 'sometimes',
    note: 'else the faults hit none, and nothing was proved',
  },
].map((row) => ({ window: 'run', severity: 'fail', ...row }))
