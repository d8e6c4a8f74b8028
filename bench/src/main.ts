// `npm run bench`: every system in turn, round by round, so that a machine that slows down slows all of them. Ratios are what to quote.
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { addUser, initMesh } from '@sennit/protocol/node'
import { freePort } from './free-port.ts'
import { startHaproxy, startSshReverse } from './peers.ts'
import { measure, startBench } from './processes.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    megabytes: { type: 'string' },
    messages: { type: 'string' },
    pings: { type: 'string' },
    short: { type: 'boolean', default: false },
    long: { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log('npm run bench -- [--short | --long] [--rounds 3] [--megabytes 1000] [--messages 2000000] [--pings 5000] [--json FILE]')
  process.exit(0)
}
/** Short: does it work at all. Long: enough of each that a second of somebody else's work does not decide. */
const [roundsOf, megabytesOf, messagesOf, pingsOf] = values.short
  ? [1, 200, 300_000, 1_000]
  : values.long
    ? [7, 3_000, 5_000_000, 20_000]
    : [3, 1_000, 2_000_000, 5_000]
const rounds = Number(values.rounds ?? roundsOf)
const amounts: Record<Mode, number> = {
  B: Number(values.megabytes ?? megabytesOf) * 1_000_000,
  M: Number(values.messages ?? messagesOf),
  E: Number(values.pings ?? pingsOf),
}

type Mode = 'B' | 'M' | 'E'
interface System {
  readonly name: string
  readonly modes: readonly Mode[]
  readonly run: (mode: Mode, amount: number) => Promise<Record<string, number>>
}

const { dir, processes } = startBench('bench')

const systems = await startAll()
const samples = new Map<string, number[]>()
for (let round = 1; round <= rounds; round += 1) {
  for (const system of systems) {
    for (const mode of system.modes) {
      const result = await system.run(mode, amounts[mode])
      for (const [metric, value] of Object.entries(result)) {
        const key = `${system.name}|${metric}`
        samples.set(key, [...(samples.get(key) ?? []), value])
      }
      console.error(
        `round ${round}/${rounds}  ${system.name}  ${Object.entries(result)
          .map(([metric, value]) => `${metric} ${value.toFixed(1)}`)
          .join('  ')}`,
      )
    }
  }
}
report()
process.exit(0)

async function startAll(): Promise<System[]> {
  const { port: sink } = await processes.role('tcp-sink')
  const tcp = (name: string, port: number, modes: Mode[]): System => ({
    name,
    modes,
    run: (mode, amount) => measure('tcp-source', [port, mode, amount]),
  })
  const started: System[] = [tcp('direct', sink, ['B', 'E'])]
  started.push(tcp('bare Node relay', (await processes.role('bare-relay', sink)).port, ['B', 'M', 'E']))
  const haproxy = await startHaproxy(processes, dir, sink)
  if (haproxy === undefined) console.error('haproxy: not installed (apt-get install haproxy)')
  else started.push(tcp('HAProxy', haproxy, ['B', 'E']))
  const ssh = await startSshReverse(processes, dir, sink)
  if (ssh === undefined) console.error('ssh -R: not installed (apt-get install openssh-server)')
  else started.push(tcp('ssh -R', ssh, ['B', 'E']))

  const mesh = join(dir, 'mesh')
  const ports = await Promise.all([freePort(), freePort()])
  await initMesh(mesh, {
    relays: [{ relayId: 'r1', url: `http://127.0.0.1:${ports[0]}`, listen: `127.0.0.1:${ports[0]}`, admin: `127.0.0.1:${ports[1]}` }],
  })
  const users = Object.fromEntries(
    await Promise.all(['source', 'sink', 'near', 'far'].map(async (name) => [name, await addUser(mesh, name)] as const)),
  )
  const list = join(mesh, 'relays.list')
  await processes.role('relay', join(mesh, 'relays', 'r1.toml'))
  await processes.role('library-sink', users.sink ?? '', list)
  started.push({
    name: 'Sennit library',
    modes: ['B', 'M', 'E'],
    run: (mode, amount) => measure('library-source', [users.source ?? '', list, 'sink', mode, amount]),
  })
  await processes.role('expose', users.far ?? '', list, sink)
  const forward = await processes.role('forward', users.near ?? '', list, 'far')
  started.push(tcp('Sennit forward', forward.port, ['B', 'E']))
  return started
}

function report(): void {
  const median = (key: string): number => {
    const sorted = [...(samples.get(key) ?? [])].sort((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  }
  console.log(`medians of ${rounds} rounds in turn, Node ${process.version}, ${cpus().length} processors`)
  for (const [metric, title] of [
    ['megabytesPerSecond', 'bulk, 64 KiB writes, MB/s'],
    ['messagesPerSecond', '100 B messages a second'],
    ['p50Us', '100 B round trip, p50 µs'],
    ['p99Us', '100 B round trip, p99 µs'],
  ] as const) {
    console.log(`\n${title}`)
    for (const system of systems) {
      const value = median(`${system.name}|${metric}`)
      if (!Number.isNaN(value)) console.log(`  ${system.name.padEnd(18)} ${value.toFixed(metric === 'messagesPerSecond' ? 0 : 1)}`)
    }
  }
  const ratio = (a: string, b: string): number => median(a) / median(b)
  const floors = [
    { what: 'bulk, library ÷ HAProxy', value: ratio('Sennit library|megabytesPerSecond', 'HAProxy|megabytesPerSecond'), floor: '≥ 0.45' },
    { what: 'bulk, forward ÷ ssh -R', value: ratio('Sennit forward|megabytesPerSecond', 'ssh -R|megabytesPerSecond'), floor: '≥ 0.45' },
    {
      what: 'messages, library ÷ bare relay',
      value: ratio('Sennit library|messagesPerSecond', 'bare Node relay|messagesPerSecond'),
      floor: '≥ 0.3',
    },
    { what: 'round trip p50, library ÷ HAProxy', value: ratio('Sennit library|p50Us', 'HAProxy|p50Us'), floor: '≤ 2.5' },
  ]
  console.log('\nratios')
  for (const { what, value, floor } of floors)
    console.log(`  ${what.padEnd(36)} ${Number.isNaN(value) ? 'peer not installed' : value.toFixed(2)}   (${floor})`)
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ rounds, samples: Object.fromEntries(samples), ratios: floors }, null, 2)}\n`)
}
