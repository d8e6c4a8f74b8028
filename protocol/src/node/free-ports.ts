// Loopback ports for relays that keep them for life.
import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { SennitError } from '../errors.ts'

/** Above the ports of well-known services. */
const firstPort = 10_000
/** Below the ports that Linux gives to outgoing sockets (32 768 and up): a relay that is restarted must find its port free. */
const lastPort = 32_000
/** On a machine with more than nine in ten of these taken, more tries do not help. */
const triesMax = 1_000

/** Ports that are free now. All are held at once before any is let go, so that none comes twice. */
export async function freePorts(count: number): Promise<number[]> {
  const held: { server: Server; port: number }[] = []
  for (let tries = 0; held.length < count; tries += 1) {
    if (tries > triesMax) throw new SennitError('listen_failed', `expected ${count} free ports on 127.0.0.1; found ${held.length}`)
    const port = randomInt(firstPort, lastPort)
    const server = await hold(port)
    if (server !== undefined) held.push({ server, port })
  }
  await Promise.all(held.map(({ server }) => new Promise((done) => server.close(done))))
  return held.map(({ port }) => port)
}

function hold(port: number): Promise<Server | undefined> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', () => done(undefined))
    server.listen(port, '127.0.0.1', () => done(server))
  })
}
