// NATS: two servers in a cluster and core NATS between two bridges, each of which knows both servers and reconnects by itself.
//   far TARGET_PORT SERVER… | near LISTEN_PORT SERVER…
// Core NATS promises at most once; what it loses in a fault shows as a hole in the stream.
// Needs its package beside it: the scorecard runs a copy of this file where `npm run tools -- nats-client` installed it.
import { createServer, connect as dial } from 'node:net'
import { connect } from '@nats-io/transport-node'

const [role, first, ...servers] = process.argv.slice(2)
const port = Number(first)
process.on('uncaughtException', (error) => console.error('uncaught', error.message))
process.on('unhandledRejection', (error) => console.error('unhandled', error?.message))

/** Reconnects at once and for ever; a server that answers no ping for two seconds is left. */
const nats = await connect({
  servers,
  noRandomize: true,
  maxReconnectAttempts: -1,
  reconnectTimeWait: 100,
  reconnectJitter: 0,
  pingInterval: 1_000,
  maxPingOut: 2,
  // A frozen server still accepts sockets; without this its greeting is waited for 20 s.
  timeout: 1_000,
  waitOnFirstConnect: true,
})

/** A block of this size is one message; a server takes up to 1 MiB. */
const blockMax = 512 * 1024

if (role === 'far') {
  const sockets = new Map()
  nats.subscribe('stream.*', {
    callback: (_error, message) => {
      const id = message.subject.split('.')[1]
      if (!sockets.has(id)) {
        const socket = dial({ port, host: '127.0.0.1', noDelay: true })
        socket.on('error', () => {})
        sockets.set(id, socket)
      }
      const socket = sockets.get(id)
      if (message.data.length > 0) socket.write(message.data)
      else {
        socket.end()
        sockets.delete(id)
      }
    },
  })
  await nats.flush()
  console.log('ready')
} else {
  let ids = 0
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    ids += 1
    const subject = `stream.${process.pid}-${ids}`
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      for (let from = 0; from < bytes.length; from += blockMax) nats.publish(subject, bytes.subarray(from, from + blockMax))
    })
    socket.on('end', () => nats.publish(subject, new Uint8Array(0)))
  })
  server.listen(port, '127.0.0.1', () => console.log('ready'))
}
