/** `https:` relays: every carrier, straight and through a CONNECT proxy; and a certificate that nobody trusts. */

import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CarrierEvents, dialDeadlines } from '../../src/node/carrier.ts'
import { Dialler } from '../../src/node/dial.ts'
import { startMesh, type TestMesh } from './mesh.ts'
import { startTestProxy } from './test-proxy.ts'
import { tlsCertificate, tlsKey, tlsName } from './tls-fixture.ts'

let mesh: TestMesh

beforeAll(async () => {
  mesh = await startMesh(1, { tls: { certificate: Buffer.from(tlsCertificate), key: Buffer.from(tlsKey) } })
})
afterAll(() => mesh.close())

describe.each(['upgrade', 'http', 'grpc'])('carrier %s over TLS', (carrier) => {
  const tls = { ca: tlsCertificate, servername: tlsName }
  const dialThrough = (url: string): string => url.replace('http:', 'https:')

  it.each(['straight', 'through a proxy'])('%s', async (way) => {
    const proxy = way === 'straight' ? undefined : await startTestProxy()
    const options = { carriers: [carrier], tls, dialThrough, ...(proxy === undefined ? {} : { proxy: proxy.url }) }
    const [alice, bob] = await Promise.all([mesh.client('alice', options), mesh.client('bob', options)])
    const application = `${way === 'straight' ? 's' : 'p'}-${carrier}`
    const listener = await bob.listen({ application })
    const [caller, taken] = await Promise.all([alice.connect({ user: 'bob', application }), listener[Symbol.asyncIterator]().next()])
    const message = randomBytes(1_000_000)
    await caller.send(message)
    expect(Buffer.compare((await taken.value!.receive({ timeoutMs: 10_000 }))!, message)).toBe(0)
    if (proxy !== undefined) expect(proxy.seen.every((line) => line.startsWith('CONNECT '))).toBe(true)
    await Promise.all([alice.close(), bob.close()])
    await proxy?.close()
  })

  it.each([
    ['an unknown authority', { servername: tlsName }],
    ['another name', { ca: tlsCertificate, servername: 'other.test' }],
  ])('refuses %s', async (_what, settings) => {
    const url = mesh.relays[0]!.urls[0]!.replace('http:', 'https:')
    const code = await new Promise<string>((resolve) => {
      const events: CarrierEvents = { onOpen: () => resolve('open'), onBytes: () => {}, onDrain: () => {}, onClose: resolve }
      new Dialler().dial(
        { url, carrier, first: () => new Uint8Array(10), proxy: { env: {} }, tls: settings, deadlines: dialDeadlines },
        events,
      )
    })
    expect(code).toBe('tls_failed')
  })
})
