// libp2p: circuit relay v2, two relays, a stream sealed end to end. The far end holds a reservation at both relays, the near end dials
// through both addresses and uses whichever answers.
//   relay PORT SEED | far TARGET_PORT RELAY_ADDRESS… | near LISTEN_PORT FAR_ID RELAY_ADDRESS…
// Needs its packages beside it: the scorecard runs a copy of this file where `npm run tools -- libp2p` installed them.
import './with-resolvers.mjs'
import { connect, createServer } from 'node:net'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const protocol = '/scorecard/1.0.0'
/** A relay that is back is used again after this. */
const lookMs = 250
const dialMs = 2_000
const farSeed = 99

const [role, first, ...rest] = process.argv.slice(2)
const port = Number(first)
process.on('uncaughtException', (error) => console.error('uncaught', error.message))
process.on('unhandledRejection', (error) => console.error('unhandled', error?.message))

const keyOf = (seed) => generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(seed))
const common = { connectionEncrypters: [noise()], streamMuxers: [yamux()], connectionMonitor: { pingInterval: 1_000 } }

if (role === 'id') console.log(peerIdFromPrivateKey(await keyOf(port)).toString())
else if (role === 'relay') await runRelay()
else await (role === 'far' ? runFar() : runNear())

async function runRelay() {
  await createLibp2p({
    ...common,
    privateKey: await keyOf(Number(rest[0])),
    addresses: { listen: [`/ip4/127.0.0.1/tcp/${port}`] },
    transports: [tcp()],
    services: { identify: identify(), relay: circuitRelayServer({ reservations: { applyDefaultLimit: false } }) },
  })
}

async function runFar() {
  const node = await createLibp2p({
    ...common,
    privateKey: await keyOf(farSeed),
    addresses: { listen: rest.map((relay) => `${relay}/p2p-circuit`) },
    transports: [tcp(), circuitRelayTransport({ reservationCompletionTimeout: dialMs })],
    transportManager: { faultTolerance: 1 },
    services: { identify: identify() },
    start: false,
  })
  await node.handle(
    protocol,
    (stream) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      socket.on('error', () => {})
      splice(stream, socket)
    },
    { runOnLimitedConnection: true },
  )
  // It waits for both reservations, and one is enough to begin with.
  await Promise.race([node.start(), new Promise((done) => setTimeout(done, dialMs))])
  // A reservation that went with its relay is asked for again: by itself libp2p does so only for relays it finds by discovery.
  const manager = node.components.transportManager
  setInterval(async () => {
    for (const relay of rest) {
      const id = relay.split('/').at(-1)
      if (node.getConnections().some((connection) => connection.remotePeer.toString() === id)) continue
      await manager.listen([multiaddr(`${relay}/p2p-circuit`)]).catch((error) => console.error('listen', error.message))
    }
  }, lookMs)
  console.log('ready')
}

async function runNear() {
  const [farId, ...relays] = rest
  const node = await createLibp2p({ ...common, transports: [tcp(), circuitRelayTransport()], services: { identify: identify() } })
  const addresses = relays.map((relay) => multiaddr(`${relay}/p2p-circuit/p2p/${farId}`))
  const server = createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, async (socket) => {
    socket.on('error', () => {})
    try {
      const stream = await node.dialProtocol(addresses, protocol, { runOnLimitedConnection: true, signal: AbortSignal.timeout(dialMs) })
      splice(stream, socket)
      socket.resume()
    } catch (error) {
      console.error('dial', error.message)
      socket.destroy()
    }
  })
  server.listen(port, '127.0.0.1', () => console.log('ready'))
}

function splice(stream, socket) {
  socket.on('data', (bytes) => {
    if (stream.status !== 'open' || stream.writeStatus === 'closed') return
    if (!stream.send(bytes)) {
      socket.pause()
      stream.onDrain().then(
        () => socket.resume(),
        () => socket.destroy(),
      )
    }
  })
  socket.on('end', () => void stream.close().catch(() => {}))
  socket.on('close', (failed) => {
    if (failed) stream.abort(new Error('the socket broke'))
  })
  stream.addEventListener('message', (event) => socket.write(event.data.subarray()))
  stream.addEventListener('remoteCloseWrite', () => socket.end())
  stream.addEventListener('close', (event) => (event.error === undefined ? socket.end() : socket.destroy()))
}
