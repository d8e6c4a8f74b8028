/**
 * What a relay needs of memory: `node bench/dist/memory.js idle` for attachments that do nothing, by carrier, and `… flow` for its growth while
 * gigabytes go through. The relay is a process of its own with the heap flag of `sennit relay`. It collects its garbage before each figure of `idle`,
 * and never for those of `flow`: what it then lets lie is what an operator sees.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { addUser, initMesh } from '@sennit/protocol/node'
import { freePort } from './free-port.ts'
import { type Child, measure, startBench } from './processes.ts'
import type { RelayMemory } from './roles/sennit.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    attachments: { type: 'string', default: '1000' },
    gigabytes: { type: 'string', default: '10' },
    carriers: { type: 'string', default: 'upgrade,http,grpc' },
  },
})

const megabyte = 1024 * 1024
/** Attachments of one user, under the relay's limit for one. */
const clientsPerUser = 20
/** Clients of one process: each carrier's table must not depend on how patient one event loop is. */
const clientsPerProcess = 250
/** After the last attachment: handshakes, first pings and their garbage are over. */
const settleMs = 3_000
/** One flow that takes longer than this hangs. */
const flowTimeoutMs = 1_200_000
const sampleMs = 500

const { dir, processes } = startBench('memory')

const what = positionals[0] ?? 'idle'
if (what === 'idle') for (const carrier of values.carriers.split(',')) await idle(carrier, Number(values.attachments))
else if (what === 'flow') await flow(Number(values.gigabytes))
else throw new Error(`expected idle or flow; found "${what}"`)
process.exit(0)

async function idle(carrier: string, attachments: number): Promise<void> {
  const mesh = await newMesh(`idle-${carrier}`)
  const relay = await startRelay(mesh)
  const users = await Promise.all(
    Array.from({ length: Math.ceil(attachments / clientsPerUser) }, (_, index) => addUser(mesh, `user${index}`)),
  )
  const before = await memoryOf(relay, 'collect')
  for (let left = attachments; left > 0; left -= clientsPerProcess) {
    const from = attachments - left
    const count = Math.min(left, clientsPerProcess)
    const credentials = users.slice(Math.floor(from / clientsPerUser), Math.ceil((from + count) / clientsPerUser))
    await processes.role('idle-clients', join(mesh, 'relays.list'), carrier, count, clientsPerUser, ...credentials)
  }
  await new Promise((done) => setTimeout(done, settleMs))
  const after = await memoryOf(relay, 'collect')
  if (after.attachments !== attachments) throw new Error(`expected ${attachments} attachments; found ${after.attachments}`)
  const each = (key: 'rss' | 'heapUsed' | 'external'): string => ((after[key] - before[key]) / attachments / 1024).toFixed(1)
  console.log(
    `idle  ${carrier.padEnd(8)} ${attachments} attachments   per attachment: resident ${each('rss')} KiB, heap ${each('heapUsed')} KiB, buffers ${each('external')} KiB`,
  )
  processes.end()
}

async function flow(gigabytes: number): Promise<void> {
  const mesh = await newMesh('flow')
  const relay = await startRelay(mesh)
  const list = join(mesh, 'relays.list')
  await processes.role('library-sink', await addUser(mesh, 'sink'), list)
  const source = await addUser(mesh, 'source')
  const bytes = gigabytes * 1e9
  let over = false
  const run = measure('library-source', [source, list, 'sink', 'B', bytes], flowTimeoutMs).finally(() => {
    over = true
  })
  let atFirst: RelayMemory | undefined
  let last = await memoryOf(relay)
  let most = 0
  while (!over) {
    await Promise.race([run, new Promise((done) => setTimeout(done, sampleMs))])
    last = await memoryOf(relay)
    most = Math.max(most, last.rss)
    if (atFirst === undefined && last.forwardedBytes >= 1e9) atFirst = last
  }
  const { megabytesPerSecond = Number.NaN } = await run
  if (atFirst === undefined) throw new Error('too little went through to compare')
  const of = (memory: RelayMemory): string =>
    `${(memory.rss / megabyte).toFixed(1)} MiB resident, heap ${(memory.heapUsed / megabyte).toFixed(1)}, buffers ${(memory.external / megabyte).toFixed(1)}`
  console.log(`flow  ${gigabytes} GB in one stream, ${megabytesPerSecond.toFixed(0)} MB/s`)
  console.log(`  after ${(atFirst.forwardedBytes / 1e9).toFixed(1)} GB: ${of(atFirst)}`)
  console.log(`  after ${(last.forwardedBytes / 1e9).toFixed(1)} GB: ${of(last)}   most seen ${(most / megabyte).toFixed(1)} MiB`)
  const growth = (last.rss - atFirst.rss) / megabyte
  console.log(`  growth ${growth.toFixed(1)} MiB   (≤ 32)`)
  processes.end()
}

async function newMesh(name: string): Promise<string> {
  const mesh = join(dir, name)
  const [port, admin] = [await freePort(), await freePort()]
  await initMesh(mesh, {
    relays: [{ relayId: 'r1', url: `http://127.0.0.1:${port}`, listen: `127.0.0.1:${port}`, admin: `127.0.0.1:${admin}` }],
  })
  return mesh
}

function startRelay(mesh: string): Promise<Child> {
  return processes.child('relay', [join(mesh, 'relays', 'r1.toml')], ['--expose-gc'])
}

async function memoryOf(relay: Child, what: 'memory' | 'collect' = 'memory'): Promise<RelayMemory> {
  return (await relay.ask(what)) as RelayMemory
}
