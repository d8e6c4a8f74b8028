// dev-tunnels-ssh: a secure stream end to end through a blind relay, and its own reconnect. Two relays; near end and far end dial out to both.
//   relay PORT | far TARGET_PORT RELAY_PORT… | near LISTEN_PORT RELAY_PORT…
// Needs its package beside it: the scorecard runs a copy of this file where `npm run tools -- dev-tunnels` installed it.
import './with-resolvers.mjs'
import { connect, createServer } from 'node:net'

/** Right after a cut the far side still holds the old session as connected, and refuses: its session then breaks for good. */
const redialMs = 500
/** A relay that is down, or holds no waiting far end, is left for the next one after this. */
const dialMs = 1_000
const nearGreeting = 'N'.charCodeAt(0)
const farGreeting = 'F'.charCodeAt(0)

const [role, first, ...rest] = process.argv.slice(2)
const port = Number(first)
const relays = rest.map(Number)
process.on('uncaughtException', (error) => console.error('uncaught', error.message))
process.on('unhandledRejection', (error) => console.error('unhandled', error?.message))

if (role === 'relay') runRelay()
else await (role === 'far' ? runFar() : runNear())

/** Pairs near ends with waiting far ends, and copies bytes. */
function runRelay() {
  const waiting = []
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', (greeting) => {
      socket.pause()
      if (greeting[0] === farGreeting) {
        waiting.push(socket)
        socket.once('close', () => {
          const index = waiting.indexOf(socket)
          if (index >= 0) waiting.splice(index, 1)
        })
        return
      }
      const far = waiting.shift()
      if (far === undefined) {
        socket.destroy()
        return
      }
      for (const [from, to] of [
        [socket, far],
        [far, socket],
      ]) {
        from.on('close', () => to.destroy())
        from.pipe(to)
      }
      // Each end begins when it hears that it is paired.
      for (const end of [socket, far]) end.write(Buffer.from([nearGreeting]))
    })
  })
  server.listen(port, '127.0.0.1')
}

/** A socket through a relay to the other end, when that is there. */
function dial(relay, greeting, waitMs) {
  return new Promise((done, fail) => {
    const socket = connect({ port: relay, host: '127.0.0.1', noDelay: true })
    const timer = setTimeout(() => socket.destroy(), waitMs)
    socket.once('connect', () => {
      if (greeting === farGreeting) clearTimeout(timer)
      socket.write(Buffer.from([greeting]))
    })
    socket.on('error', () => {})
    const onClose = () => {
      clearTimeout(timer)
      fail(new Error(`relay ${relay} closed`))
    }
    socket.once('close', onClose)
    socket.once('readable', () => {
      if (socket.read(1) === null) return
      clearTimeout(timer)
      socket.removeListener('close', onClose)
      done(socket)
    })
  })
}

/** A path that is silent is closed, so that the session is disconnected and reconnects: keep-alives every second, one missed. */
function watchOver(stream, socketOf) {
  stream.session.config.keepAliveTimeoutInSeconds = 1
  stream.session.onKeepAliveFailed?.((count) => {
    if (count >= 1) socketOf().destroy()
  })
}

async function runFar() {
  const { SecureStream, SshAlgorithms } = await import('@microsoft/dev-tunnels-ssh')
  const key = await SshAlgorithms.publicKey.ecdsaSha2Nistp384.generateKeyPair()
  const sessions = []
  const serve = async (relay) => {
    for (;;) {
      try {
        const transport = await dial(relay, farGreeting, dialMs)
        void accept(transport).catch((error) => console.error('far', error.message))
      } catch {
        await new Promise((done) => setTimeout(done, 100))
      }
    }
  }
  const accept = async (transport) => {
    const stream = new SecureStream(transport, { publicKeys: [key] }, sessions)
    stream.on('error', () => {})
    stream.onAuthenticating((event) => {
      event.authenticationPromise = Promise.resolve({})
    })
    watchOver(stream, () => transport)
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.on('error', () => {})
    stream.onClosed(() => socket.destroySoon())
    stream.on('data', (bytes) => socket.write(bytes))
    stream.on('end', () => socket.end())
    await stream.connect()
    // A reconnected session goes on in the stream it belongs to; this one then never gets a channel.
    if (stream.stream === undefined) socket.destroy()
  }
  for (const relay of relays) void serve(relay)
  console.log('ready')
}

async function runNear() {
  const { SecureStream } = await import('@microsoft/dev-tunnels-ssh')
  let last = -1
  // The relay that was left is tried last.
  const dialAny = async () => {
    for (;;) {
      for (let step = 1; step <= relays.length; step += 1) {
        const index = (last + step) % relays.length
        try {
          const socket = await dial(relays[index], nearGreeting, dialMs)
          last = index
          return socket
        } catch {
          // The next one.
        }
      }
      await new Promise((done) => setTimeout(done, 100))
    }
  }
  const server = createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, async (socket) => {
    socket.on('error', () => {})
    let transport = await dialAny()
    const stream = new SecureStream(transport, { username: 'scorecard' }, true)
    stream.on('error', () => {})
    stream.onAuthenticating((event) => {
      event.authenticationPromise = Promise.resolve({})
    })
    watchOver(stream, () => transport)
    stream.onClosed(() => socket.destroy())
    stream.onDisconnected(async () => {
      while (!stream.isClosed && !socket.destroyed) {
        await new Promise((done) => setTimeout(done, redialMs))
        transport = await dialAny()
        try {
          await stream.reconnect(transport)
          return
        } catch (error) {
          console.error('reconnect', error.message)
          transport.destroy()
        }
      }
    })
    await stream.connect()
    socket.on('data', (bytes) => {
      if (!stream.write(bytes)) {
        socket.pause()
        stream.once('drain', () => socket.resume())
      }
    })
    socket.on('end', () => stream.end())
    socket.resume()
  })
  server.listen(port, '127.0.0.1', () => console.log('ready'))
}
