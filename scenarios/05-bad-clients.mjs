// The source of 05-bad-clients.xlsx: some clients read slowly, send too much, come and go, or speak through networks that break everything they say.
// The others must not notice.
import { always, Relays, run, talkers, Zones } from './parts/faults.mjs'

export const Run = run('50s', { name: ['05-bad-clients'] })
export { Relays, Zones }

export const Profiles = [
  { profile: 'measured', rate: '110/s', packet_size: 'uniform(100,300)' },
  { profile: 'bad', rate: '5/s', packet_size: 'uniform(100,300)' },
  { profile: 'flood', rate: '40/s', packet_size: 'const(4KiB)', direction: 'send', flow_check: 'full' },
  { profile: 'sink', rate: '1/s', packet_size: 'const(64)', direction: 'receive', flow_check: 'full' },
].map((row) => ({ direction: 'both', flow_check: 'full', ...row }))

export const Clients = [
  ...talkers(4).map((row) => ({ ...row, tags: 'good' })),
  ...['reset', 'garbage', 'flapping', 'crumbs', 'half'].flatMap((what) =>
    ['a', 'b'].map((end) => ({ client: `${what}-${end}`, zone: 'here', application: 'bad', profile: 'bad', tags: `bad,${what}` })),
  ),
  { client: 'flood', zone: 'here', application: 'bad', profile: 'flood', tags: 'bad', peer: 'sink', data_limit: '2MiB' },
  {
    client: 'sink',
    zone: 'here',
    application: 'bad',
    profile: 'sink',
    tags: 'bad',
    read_rate: '200KB/s',
    note: 'it reads more slowly than is sent',
  },
]

const badly = [
  { fault: 'reset', action: 'reset_peer', p1: '500ms', target: 'tag:reset' },
  { fault: 'garbage', action: 'corrupt', p1: '500', target: 'tag:garbage' },
  { fault: 'flapping', action: 'flap', p1: '1s', p2: '1s', p3: 'cut', target: 'tag:flapping' },
  { fault: 'crumbs', action: 'slice', p1: 16, p2: '1ms', target: 'tag:crumbs' },
].map((row) => ({ when: 'at(8s)', duration: '30s', ...row }))

export const Faults = [
  ...badly,
  { fault: 'half', when: 'every(5s)', duration: '0s', action: 'half_open', target: 'tag:half' },
  { fault: 'freeze', when: 'at(22s)', duration: '3s', action: 'pause', target: 'busiest(relay:*)' },
].map((row) => ({ heal: 'auto', expect: 'degrade', ...row }))

export const Limits = [
  ...always,
  {
    limit: 'others',
    metric: 'response_time',
    filter: 'tag:good',
    stat: 'p(90)',
    op: '<=',
    value: '100ms',
    window: 'during:garbage',
    severity: 'fail',
    note: 'messages of good clients, while the bad ones do their worst; on two busy cores 40 ms',
  },
  {
    limit: 'stall_good',
    metric: 'stall',
    filter: 'action:pause; tag:good',
    stat: 'max',
    op: '<=',
    value: '500ms',
    window: 'run',
    severity: 'fail',
    note: 'a relay that freezes meanwhile costs them no more than ever',
  },
  {
    limit: 'hits',
    metric: 'failover_connections',
    filter: 'action:pause',
    stat: 'min',
    op: '>=',
    value: 1,
    window: 'run',
    severity: 'sometimes',
  },
]
