/**
 * What floods of strangers cost the pair that is in: `node bench/dist/floods.js`. A relay, a pair that plays 100 bytes to and fro, and a flooder, each
 * in a process of its own; a run without a flood before each run with one, so that the ratio says something on a machine that is not alone. The
 * limits per address are off: they would refuse most of it at once.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { addUser, initMesh } from '@sennit/protocol/node'
import { freePort } from './free-port.ts'
import { type Child, measure, Processes, startBench } from './processes.ts'
import { floodNames } from './roles/flooder.ts'
import type { RelayMemory } from './roles/sennit.ts'

const { values } = parseArgs({
  options: {
    sockets: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '10000' },
    floods: { type: 'string', default: floodNames.join(',') },
    repeat: { type: 'string', default: '3' },
  },
})
const socketsPerSecond = Number(values.sockets)
const rounds = Number(values.rounds)
const megabyte = 1024 * 1024

interface Run {
  readonly p50Us: number
  readonly p99Us: number
  /** Of the relay, in shares of a processor. */
  readonly cpu: number
  readonly rss: number
}

const { dir, processes } = startBench('floods')

const [port, admin] = [await freePort(), await freePort()]
await initMesh(dir, {
  relays: [{ relayId: 'r1', url: `http://127.0.0.1:${port}`, listen: `127.0.0.1:${port}`, admin: `127.0.0.1:${admin}` }],
})
const list = join(dir, 'relays.list')
const relay = await processes.child('relay', [join(dir, 'relays', 'r1.toml')])
const source = await addUser(dir, 'source')
await processes.role('library-sink', await addUser(dir, 'sink'), list)

console.log(`${socketsPerSecond} sockets a second, ${rounds} round trips of 100 B, median of ${values.repeat} runs in turn`)
for (const flood of values.floods.split(',')) {
  const quiet: Run[] = []
  const flooded: Run[] = []
  for (let time = 0; time < Number(values.repeat); time += 1) {
    quiet.push(await run(relay))
    const flooders = new Processes()
    await flooders.role('flooder', port, flood, socketsPerSecond)
    flooded.push(await run(relay).finally(() => flooders.end()))
  }
  const [before, now] = [medianOf(quiet), medianOf(flooded)]
  const ms = (us: number): string => (us / 1_000).toFixed(2)
  console.log(
    `${flood.padEnd(28)} p50 ${ms(before.p50Us)} -> ${ms(now.p50Us)} ms, p99 ${ms(before.p99Us)} -> ${ms(now.p99Us)} ms (${(now.p99Us / before.p99Us).toFixed(1)} times), relay ${Math.round(100 * before.cpu)} -> ${Math.round(100 * now.cpu)} % of a processor, ${(now.rss / megabyte).toFixed(0)} MiB`,
  )
}
process.exit(0)

async function run(of: Child): Promise<Run> {
  const before = (await of.ask('memory')) as RelayMemory
  const startedMs = performance.now()
  const { p50Us = Number.NaN, p99Us = Number.NaN } = await measure('library-source', [source, list, 'sink', 'E', rounds])
  const after = (await of.ask('memory')) as RelayMemory
  return { p50Us, p99Us, cpu: (after.cpuMs - before.cpuMs) / (performance.now() - startedMs), rss: after.rss }
}

/** The run in the middle, by its p99. */
function medianOf(runs: readonly Run[]): Run {
  return [...runs].sort((left, right) => left.p99Us - right.p99Us)[runs.length >> 1]!
}
