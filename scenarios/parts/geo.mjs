// What the workbooks of a mesh over several regions have in common: regions, and what lies between them.
//
// Round trips: the table "Inter-region latency" that IBM Cloud publishes for its virtual private cloud, average of 27 July to 25 August 2024
// (cloud.ibm.com/docs/vpc, network latency dashboard; source github.com/ibm-cloud-docs/vpc, _include-segments/network-latency.md). It has both
// directions of each pair, measured apart. Within a region: 2 ms, the upper end of its table between zones of one region (0.6 to 2.9 ms).
// Jitter and loss are in no such table: 5 % of the round trip and 0.1 % of packets are our choice, not a measurement.

const regions = {
  us: { label: 'Washington DC', eu: 91, jp: 164, br: 118 },
  eu: { label: 'Frankfurt', us: 91, jp: 233, br: 198 },
  jp: { label: 'Tokyo', us: 166, eu: 233, br: 284 },
  br: { label: 'Sao Paulo', us: 119, eu: 196, jp: 283 },
}
const withinMs = 2
const jitterShare = 0.05

function zones(names) {
  return names.map((zone) => ({ zone, label: regions[zone].label }))
}

/** Every ordered pair of these regions. */
function links(names) {
  return names.flatMap((from) =>
    names.map((to) => {
      const rtt = from === to ? withinMs : regions[from][to]
      return { from, to, rtt: `${rtt}ms`, jitter: `${Math.round(rtt * jitterShare * 10) / 10}ms`, loss: '0.1%', symmetric: 'no' }
    }),
  )
}

/** `count` relays in each region: us-1, us-2, eu-1 … Each region is one failure domain. */
function relaysIn(names, count) {
  return names.flatMap((zone) =>
    Array.from({ length: count }, (_, i) => ({ relay: `${zone}-${i + 1}`, zone, managed: 'yes', failure_domain: zone, enabled: 'yes' })),
  )
}

/** The sheets of a mesh over these regions, two relays in each. */
export function meshOver(names) {
  return { Zones: zones(names), Links: links(names), Relays: relaysIn(names, 2) }
}

export function run(name, duration, more = {}) {
  return {
    name: [name],
    seed: [1],
    duration: [duration, 'how long the clients send'],
    warmup: ['15s', 'far relays answer late: clients measure them all before they settle'],
    drain: ['15s'],
    ramp_limit: ['20/s'],
    loop_delay_p99_max: ['50ms'],
    ...more,
  }
}

/** Connections between every two regions and within each, `each` of them with traffic that a stall can be told in, the others as people talk. */
export function everyWay(names, { measured, talk }) {
  const ways = names.flatMap((from, i) => names.slice(i).map((to) => [from, to]))
  return ways.flatMap(([from, to]) =>
    [...Array(measured).fill('measured'), ...Array(talk).fill('talk')].flatMap((profile, n) => {
      const way = `${from}-${to}`
      const row = { enabled: 'yes', tags: `${profile},${way}`, application: 'geo', profile, relays: 'nearest', carrier: 'auto' }
      return [
        { ...row, client: `${way}-${n + 1}a`, zone: from, note: 'calls the next row' },
        { ...row, client: `${way}-${n + 1}b`, zone: to, note: 'is called by the row above' },
      ]
    }),
  )
}

export const Profiles = [
  { profile: 'measured', rate: '110/s' },
  { profile: 'talk', rate: '5/s' },
].map((row) => ({
  ...row,
  packet_size: 'uniform(100,300)',
  direction: 'both',
  key_mode: 'blind',
  paths: 'best',
  mode: 'reliable',
  flow_check: 'full',
}))
