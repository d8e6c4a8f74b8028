// Hosts with cables between them: a stream through `sennit expose` and `sennit forward` goes on, byte for byte, while cables are pulled, packets
// vanish in one direction, and a host gets another address.
import { fileURLToPath } from 'node:url'
import { addUser, initMesh } from '@sennit/protocol/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Hosts, whyNoHosts } from './hosts.ts'
import { deadlineMs, type Program, Workshop } from './program.ts'

const bin = fileURLToPath(new URL('../bin/sennit.mjs', import.meta.url))
const relays = ['r1', 'r2', 'r3']
const missing = whyNoHosts()
if (missing !== undefined) console.warn(`skipped: hosts in network namespaces: ${missing}`)

/** Sends back what it gets. */
const echo = `
require('node:net').createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(7000, '127.0.0.1', () => console.log('{"ready":true}'))
`
/** Sends words that say their own place, 200 KB/s, compares what comes back, and tells how far it is; at SIGTERM it ends in good order. */
const talk = `
const socket = require('node:net').connect(Number(process.argv[1]), '127.0.0.1')
const [blockBytes, everyMs, tellEvery] = [4096, 20, 5]
let [sent, received, wrong, blocks] = [0, 0, 0, 0]
const expected = (place) => (Math.imul(place >>> 2, 2654435761) >>> ((place & 3) * 8)) & 255
const timer = setInterval(() => {
  if (sent - received > 4 * 1024 * 1024) return
  const block = Buffer.alloc(blockBytes)
  for (let at = 0; at < blockBytes; at++) block[at] = expected(sent + at)
  sent += blockBytes
  socket.write(block)
  if (++blocks % tellEvery === 0) console.log(JSON.stringify({ sent, received, wrong }))
}, everyMs)
socket.on('data', (bytes) => {
  for (const byte of bytes) if (byte !== expected(received++)) wrong++
})
const end = (how) => {
  clearInterval(timer)
  console.log(JSON.stringify({ how, sent, received, wrong }))
}
process.once('SIGTERM', () => {
  clearInterval(timer)
  socket.end()
})
socket.on('end', () => end('ended'))
socket.on('error', (error) => end(error.code))
`

let hosts: Hosts
let second: ReturnType<Hosts['secondCable']>
let shop: Workshop
let stream: Program
/** Over two cables. */
let twoLinks: Program

beforeAll(async () => {
  if (missing !== undefined) return
  shop = new Workshop()
  hosts = new Hosts([...relays, 'alice', 'bob'])
  second = hosts.secondCable('alice')
  // Cleanups run after the programs have ended.
  shop.onEnd(() => hosts.remove())
  const mesh = shop.path('mesh')
  await initMesh(mesh, {
    relays: relays.map((relayId) => ({ relayId, url: `http://${hosts.address(relayId)}:7400`, listen: `${hosts.address(relayId)}:7400` })),
  })
  const run = (host: string, ...args: string[]): Program => shop.program(...hosts.on(host, process.execPath, ...args))
  const as = async (user: string): Promise<string[]> => ['--credential', await addUser(mesh, user), '--mesh', mesh, '--json']
  const [alice, bob] = [await as('alice'), await as('bob')]
  await Promise.all(relays.map((relay) => run(relay, bin, 'relay', '--config', `${mesh}/relays/${relay}.toml`, '--json').ready()))
  await run('bob', '-e', echo).ready()
  await run('bob', bin, 'expose', 'echo', '127.0.0.1:7000', ...bob).ready()
  const { port } = await run('alice', bin, 'forward', '0', 'bob/echo', ...alice).ready()
  stream = run('alice', '-e', talk, String(port))
  const bound = ['--label', 'two', '--bind', `${hosts.address('alice')},${second.address}`]
  const two = await run('alice', bin, 'forward', '0', 'bob/echo', ...alice, ...bound).ready()
  twoLinks = run('alice', '-e', talk, String(two.port))
  await Promise.all([flows(), flows(deadlineMs, twoLinks)])
}, 90_000)

afterAll(async () => {
  await shop?.close()
}, 30_000)

/** A host whose every socket is dead without a word learns of it late; see "Faults, and what each costs". */
const movedMs = 50_000

/** Resolves when what is sent from now on has come back: the stream flows. */
async function flows(withinMs: number = deadlineMs, of: Program = stream): Promise<void> {
  const from = Number(of.json.at(-1)?.sent ?? 0)
  const line = await of.line((one) => Number(one.received) > from + 100_000 || one.how !== undefined, withinMs)
  expect(line).toMatchObject({ wrong: 0 })
  expect(line.how).toBeUndefined()
}

describe.skipIf(missing !== undefined)('hosts with cables between them', { timeout: 120_000 }, () => {
  it.each(relays)('the stream goes on when the cable of %s is pulled, and when it is in again', async (relay) => {
    hosts.cable(relay, 'down')
    await flows()
    hosts.cable(relay, 'up')
    await flows()
  })

  it.each(relays.flatMap((relay) => [['to', relay] as const, ['from', relay] as const]))(
    'the stream goes on when nothing %s %s arrives',
    async (direction, relay) => {
      hosts.drop(relay, direction)
      await flows()
      hosts.passAll()
      await flows()
    },
  )

  it('the stream goes on when either cable of a client with two is pulled, and when it is in again', async () => {
    for (const cable of ['alice', second.cable]) {
      hosts.cable(cable, 'down')
      await flows(deadlineMs, twoLinks)
      hosts.cable(cable, 'up')
      await flows(deadlineMs, twoLinks)
    }
  })

  it.each(['alice', 'bob'])('the stream goes on when %s gets another address', async (host) => {
    hosts.move(host, 3)
    await flows(movedMs)
    hosts.move(host, 2)
    await flows(movedMs)
  })

  it('and in the end every byte has come back once, in its place', async () => {
    for (const one of [stream, twoLinks]) {
      one.signal('SIGTERM')
      const last = await one.line((line) => line.how !== undefined)
      expect(last).toMatchObject({ how: 'ended', wrong: 0, received: last.sent })
      expect(Number(last.sent)).toBeGreaterThan(2_000_000)
    }
  })
})
