/** Client to client over real relays in this process: what the API promises, for every carrier and way out, and while relays die. */

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Client, type Connection, type Stream } from '@sennit/client'
import { addUser } from '@sennit/protocol/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startMesh, type TestMesh } from './mesh.ts'
import { startTestProxy } from './test-proxy.ts'

/** A fresh pair of ends for an application of its own. */
async function pair(alice: Client, bob: Client, application: string): Promise<[Connection, Connection]> {
  const listener = await bob.listen({ application })
  const [caller, taken] = await Promise.all([alice.connect({ user: 'bob', application }), listener[Symbol.asyncIterator]().next()])
  await listener.close()
  return [caller, taken.value!]
}

describe('a connection over one relay', () => {
  let mesh: TestMesh
  let alice: Client
  let bob: Client
  beforeAll(async () => {
    mesh = await startMesh(1)
    alice = await mesh.client('alice')
    bob = await mesh.client('bob')
  })
  afterAll(() => mesh.close())

  it('tells both ends who they are', async () => {
    const [caller, listener] = await pair(alice, bob, 'who')
    expect(caller.peer.user).toBe('bob')
    expect(listener.peer.user).toBe('alice')
    expect(listener.id).toBe(caller.id)
    expect(listener.application).toBe('who')
    expect(alice.relays().map(({ relay, state }) => ({ relay, state }))).toEqual([{ relay: 'r1', state: 'attached' }])
    expect(alice.status().connections.some(({ id }) => id === caller.id)).toBe(true)
  })

  it.each([0, 1, 100, 65_280, 65_536, 1_000_000, 20_000_000])('carries a message of %d bytes both ways', async (bytes) => {
    const [caller, listener] = await pair(alice, bob, `size-${bytes}`)
    const message = randomBytes(bytes)
    for (const [from, to] of [
      [caller, listener],
      [listener, caller],
    ] as const) {
      const sent = from.send(message, { until: 'delivered' })
      const received = await to.receive({ timeoutMs: 20_000 })
      expect(Buffer.compare(received!, message)).toBe(0)
      await sent
    }
    await caller.close()
  })

  it('keeps the order of calls, and ends the iteration when the other end closes', async () => {
    const [caller, listener] = await pair(alice, bob, 'order')
    const texts: string[] = []
    const reading = (async () => {
      for await (const message of listener) texts.push(Buffer.from(message).toString())
    })()
    const sends = Array.from({ length: 5_000 }, (_, index) => caller.send(`message ${index}`))
    await Promise.all(sends)
    await caller.close('done')
    await reading
    expect(texts).toEqual(sends.map((_, index) => `message ${index}`))
    expect((await listener.closed).code).toBe('peer_closed')
    expect((await caller.closed).code).toBe('closed')
  })

  it('hands messages to a callback, those that wait first, and none while it works on one', async () => {
    const [caller, listener] = await pair(alice, bob, 'callback')
    for (const text of ['a', 'b']) await caller.send(text, { until: 'accepted' })
    expect(Buffer.from((await listener.receive({ timeoutMs: 5_000 }))!).toString()).toBe('a')
    const texts: string[] = []
    let goOn = (): void => {}
    const began = new Promise<void>((tell) => {
      listener.onMessage((message) => {
        texts.push(Buffer.from(message).toString())
        if (texts.at(-1) !== 'slow') return
        tell()
        return new Promise((resolve) => {
          goOn = resolve
        })
      })
    })
    const slow = caller.send('slow', { until: 'delivered' })
    const late = caller.send('late', { until: 'delivered' })
    await began
    await slow
    expect(texts).toEqual(['b', 'slow'])
    goOn()
    await late
    await caller.send('last')
    await caller.close()
    await listener.closed
    expect(texts).toEqual(['b', 'slow', 'late', 'last'])
  })

  it('waits until the other application reads, says so, and goes on by itself', async () => {
    const [caller, listener] = await pair(alice, bob, 'wait')
    const delivered = caller.send('first', { until: 'delivered' })
    const piece = randomBytes(1_000_000)
    const sends = Array.from({ length: 30 }, () => caller.send(piece))
    let settled = false
    void Promise.all(sends).then(() => {
      settled = true
    })
    const drained = caller.drained()
    await caller.ping()
    await caller.ping()
    expect(settled).toBe(false)
    for (let count = 0; count < 31; count += 1) await listener.receive({ timeoutMs: 5_000 })
    await Promise.all([delivered, drained, ...sends])
    expect(caller.writableBytes).toBeGreaterThan(0)
    await caller.close()
  })

  it('closes only when the other end took what waited for its credit', async () => {
    const [caller, listener] = await pair(alice, bob, 'late-reader')
    const told: string[] = []
    caller.on((event) => told.push(event.type === 'waiting' ? `waiting ${event.why}` : event.type))
    const sends = Array.from({ length: 40 }, (_, index) => caller.send(Buffer.alloc(1_000_000, index)))
    const closing = caller.close()
    const firstBytes: number[] = []
    for await (const message of listener) firstBytes.push(message[0]!)
    await Promise.all([closing, ...sends])
    expect(firstBytes).toEqual(Array.from({ length: 40 }, (_, index) => index))
    expect(told).toContain('waiting credit')
    expect(told.indexOf('resumed')).toBeGreaterThan(told.indexOf('waiting credit'))
  })

  it('gives up waiting when told to, and loses nothing by it', async () => {
    const [caller, listener] = await pair(alice, bob, 'abort')
    await expect(listener.receive({ timeoutMs: 5 })).rejects.toMatchObject({ code: 'receive_timeout' })
    const stop = new AbortController()
    const waiting = listener.receive({ signal: stop.signal })
    stop.abort()
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    await expect(caller.send('x', { signal: stop.signal })).rejects.toMatchObject({ name: 'AbortError' })
    await caller.send('y')
    expect(Buffer.from((await listener.receive())!).toString()).toBe('y')
    await expect(alice.connect({ user: 'bob', application: 'nobody', signal: AbortSignal.timeout(20) })).rejects.toMatchObject({
      name: 'TimeoutError',
    })
    await expect(alice.connect({ user: 'bob', application: 'nobody', waitMs: 50 })).rejects.toMatchObject({ code: 'no_peer' })
    await expect(alice.connect({ user: 'alice', application: 'nobody', waitMs: 500 })).rejects.toMatchObject({ code: 'self' })
    await expect(alice.connect({ user: 'mallory', application: 'x', waitMs: 300 })).rejects.toThrow(/not.registered/)
    await expect(alice.connect({ user: 'bob', application: 'x', keyMode: 'open' as 'none', waitMs: 500 })).rejects.toMatchObject({
      code: 'bad_key_mode',
    })
    await caller.close()
  })

  it('agrees on a key mode that both ends accept, and on no other', async () => {
    const listener = await bob.listen({ application: 'open', keyMode: ['relay', 'none'] })
    await expect(alice.connect({ user: 'bob', application: 'open' })).rejects.toMatchObject({ code: 'key_mode_mismatch' })
    const [caller, taken] = await Promise.all([
      alice.connect({ user: 'bob', application: 'open', keyMode: 'none' }),
      listener[Symbol.asyncIterator]().next(),
    ])
    expect([caller.keyMode, taken.value!.keyMode]).toEqual(['none', 'none'])
    expect(caller.status()?.keyMode).toBe('none')
    await caller.send('anybody may read this', { until: 'accepted' })
    expect(Buffer.from((await taken.value!.receive())!).toString()).toBe('anybody may read this')
    await caller.close()
    await listener.close()
  })

  it('refuses a message longer than the limit, and goes on', async () => {
    const [caller, listener] = await pair(alice, bob, 'too-large')
    await expect(caller.send(new Uint8Array(64 * 1024 * 1024 + 1))).rejects.toMatchObject({ code: 'message_too_large' })
    await caller.send('still here')
    expect(Buffer.from((await listener.receive())!).toString()).toBe('still here')
    await caller.close()
  })

  it('tells an abort as an abnormal end, with counts', async () => {
    const [caller, listener] = await pair(alice, bob, 'cut')
    const stream = await caller.openStream({ header: Buffer.from('h') })
    const reset = new Promise<number>((resolve) => stream.onReset(resolve))
    await caller.send('x', { until: 'accepted' })
    const receiving = listener.receive().then(() => listener.receive())
    listener.abort('maintenance')
    await expect(receiving).rejects.toMatchObject({ code: 'maintenance' })
    expect(await reset).toBeGreaterThan(0xffff_0000)
    const info = await caller.closed
    expect(info.remote).toBe(true)
    expect(info.counts.find(({ streamId }) => streamId === 0)?.accepted).toBeGreaterThan(0)
    await expect(caller.send('late')).rejects.toMatchObject({ code: info.code })
  })

  it('measures a sealed round trip', async () => {
    const [caller] = await pair(alice, bob, 'ping')
    const { rttMs, relay } = await caller.ping()
    expect(rttMs).toBeGreaterThan(0)
    expect(relay).toBe('r1')
    await caller.close()
  })

  describe('streams', () => {
    it('open at once with their header, and each half ends by itself', async () => {
      const [caller, listener] = await pair(alice, bob, 'stream')
      const opened = await caller.openStream({ header: Buffer.from('hello') })
      const taken = (await listener.incomingStreams()[Symbol.asyncIterator]().next()).value!
      expect(Buffer.from(taken.header).toString()).toBe('hello')
      taken.write(Buffer.from('server first'))
      taken.end()
      expect((await collect(opened)).toString()).toBe('server first')
      opened.write(Buffer.from('still open'))
      opened.end()
      expect((await collect(taken)).toString()).toBe('still open')
      await caller.close()
    })

    it('reset and stop with the code of the application', async () => {
      const [caller, listener] = await pair(alice, bob, 'reset')
      const stream = await caller.openStream()
      const taken = (await listener.incomingStreams()[Symbol.asyncIterator]().next()).value!
      const reset = new Promise((resolve) => taken.onReset(resolve))
      const stopped = new Promise((resolve) => taken.onStopped(resolve))
      stream.reset(7)
      stream.stop(8)
      expect(await reset).toBe(7)
      expect(await stopped).toBe(8)
      expect(() => taken.write(Buffer.from('x'))).toThrow(/takes no more/)
      await caller.close()
    })

    it('are 50 at once, and one slow reader holds up none', async () => {
      const [caller, listener] = await pair(alice, bob, 'fifty')
      listener.onStream((stream) => {
        if (Buffer.from(stream.header).toString() !== 'slow') echo(stream)
      })
      const slow = await caller.openStream({ header: Buffer.from('slow') })
      const big = randomBytes(4_000_000)
      expect(slow.write(big)).toBe(false)
      const results = await Promise.all(
        Array.from({ length: 50 }, async () => {
          const body = randomBytes(500_000)
          const stream = await caller.openStream()
          stream.write(body)
          stream.end()
          return (await collect(stream)).equals(body)
        }),
      )
      expect(results.every(Boolean)).toBe(true)
      expect(slow.queuedBytes).toBeGreaterThan(0)
      expect(() => {
        for (let count = 0; count < 10; count += 1) slow.write(big)
      }).toThrow(/wait for onDrain/)
      slow.reset()
      await caller.close()
    })

    it('work as Web streams, with back-pressure', async () => {
      const [caller, listener] = await pair(alice, bob, 'web')
      listener.onStream((stream) => void stream.readable.pipeTo(stream.writable))
      const stream = await caller.openStream()
      const body = randomBytes(3_000_000)
      const writing = (async () => {
        const writer = stream.writable.getWriter()
        for (let at = 0; at < body.length; at += 50_000) await writer.write(body.subarray(at, at + 50_000))
        await writer.close()
      })()
      const parts: Uint8Array[] = []
      for await (const part of stream.readable) parts.push(part)
      await writing
      expect(Buffer.concat(parts).equals(body)).toBe(true)
      await caller.close()
    })
  })
})

describe.each(['upgrade', 'http', 'grpc'])('over carrier %s', (carrier) => {
  let mesh: TestMesh
  beforeAll(async () => {
    mesh = await startMesh(1)
  })
  afterAll(() => mesh.close())

  it('carries 20 MB both ways', async () => {
    const [alice, bob] = await Promise.all([mesh.client('alice', { carriers: [carrier] }), mesh.client('bob', { carriers: [carrier] })])
    expect(alice.status().attachments[0]?.carrier).toBe(carrier)
    await exchange(alice, bob, 20_000_000)
    await Promise.all([alice.close(), bob.close()])
  })

  it('carries 2 MB through a proxy with a login', async () => {
    const proxy = await startTestProxy({ login: 'ann:pass' })
    const options = { carriers: [carrier], proxy: `http://ann:pass@127.0.0.1:${proxy.port}` }
    const [alice, bob] = await Promise.all([mesh.client('alice', options), mesh.client('bob', options)])
    await exchange(alice, bob, 2_000_000)
    expect(proxy.seen.every((line) => line.startsWith(carrier === 'http' ? 'POST http://' : 'CONNECT '))).toBe(true)
    await Promise.all([alice.close(), bob.close()])
    await proxy.close()
  })
})

describe('through a proxy that allows no CONNECT and holds bodies back', () => {
  it('finds the way by itself: absolute form, short polls, numbered POSTs', async () => {
    const mesh = await startMesh(1)
    const proxy = await startTestProxy({ refuseConnect: true, holdsRequests: true, holdsResponses: true })
    const options = { proxy: proxy.url, openMs: 15_000 }
    const [alice, bob] = await Promise.all([mesh.client('alice', options), mesh.client('bob', options)])
    expect(alice.status().attachments[0]?.carrier).toBe('http')
    await exchange(alice, bob, 1_000_000)
    await mesh.close()
    await proxy.close()
  })
})

describe('a connection over three relays', () => {
  it('loses nothing and repeats nothing while the relay in use is closed under load, twice', async () => {
    const mesh = await startMesh(3)
    const [alice, bob] = await Promise.all([mesh.client('alice'), mesh.client('bob')])
    const [caller, listener] = await pair(alice, bob, 'load')
    const events: string[] = []
    caller.on((event) => events.push(event.type))
    const count = 6_000
    const received: number[] = []
    const reading = (async () => {
      for await (const message of listener) received.push(Buffer.from(message).readUInt32BE(0))
    })()
    for (let index = 0; index < count; index += 1) {
      const message = Buffer.alloc(2_000)
      message.writeUInt32BE(index)
      await caller.send(message)
      if (index === 2_000 || index === 4_000) {
        const active = alice.status().connections[0]?.active.send
        if (active !== null && active !== undefined) await mesh.kill(active)
        if (index === 2_000) await caller.ping()
      }
    }
    await caller.close()
    await reading
    expect(received).toEqual(Array.from({ length: count }, (_, index) => index))
    expect(events).toContain('failover')
    await mesh.close()
  })

  it('goes on when all relays were gone and one comes back', async () => {
    const mesh = await startMesh(2)
    const [alice, bob] = await Promise.all([mesh.client('alice'), mesh.client('bob')])
    const [caller, listener] = await pair(alice, bob, 'gone')
    await caller.send('before', { until: 'accepted' })
    expect(Buffer.from((await listener.receive())!).toString()).toBe('before')
    const waits = new Promise<string>((resolve) => caller.on((event) => event.type === 'waiting' && resolve(event.why)))
    await Promise.all([mesh.kill('r1'), mesh.kill('r2')])
    const sent = caller.send('after', { until: 'delivered' })
    expect(await waits).toBe('no_path')
    await mesh.start('r2')
    expect(Buffer.from((await listener.receive({ timeoutMs: 20_000 }))!).toString()).toBe('after')
    await sent
    await mesh.close()
  })
})

describe('closing a client', () => {
  it('leaves no timer and no socket, after traffic on every carrier', async () => {
    const mesh = await startMesh(2)
    const held = (): string[] =>
      process.getActiveResourcesInfo().filter((name) => /TCPSocketWrap|Timeout|ConnectWrap|GetAddrInfo/.test(name))
    const before = held().length
    for (const carrier of ['upgrade', 'http', 'grpc']) {
      const [alice, bob] = await Promise.all([mesh.client('alice', { carriers: [carrier] }), mesh.client('bob', { carriers: [carrier] })])
      await exchange(alice, bob, 100_000)
      const closing = alice.close()
      expect(alice.close()).toBe(closing)
      await Promise.all([closing, bob.close()])
      await expect(alice.connect({ user: 'bob', application: 'x' })).rejects.toMatchObject({ code: 'client_closed' })
    }
    // The relays forget their side within a moment; what stays then would keep a program alive.
    await expect.poll(() => held().length, { timeout: 5_000 }).toBeLessThanOrEqual(before)
    await mesh.close()
  })
})

describe('opening a client', () => {
  it('says that no relay answers, and what each said', async () => {
    const mesh = await startMesh(2)
    await Promise.all([mesh.kill('r1'), mesh.kill('r2')])
    await expect(mesh.client('alice', { openMs: 300 })).rejects.toMatchObject({
      code: 'no_relay',
      facts: { answers: [{ relayId: 'r1' }, { relayId: 'r2' }] },
    })
    await mesh.close()
  })

  it('is refused at once, with the reason, for a credential of another mesh or of another time', async () => {
    const [mesh, other] = await Promise.all([startMesh(2), startMesh(1)])
    const open = (credential: string): Promise<Client> => Client.open({ credential, relays: mesh.relays, env: {}, openMs: 20_000 })
    await expect(open(join(other.dir, 'users', 'alice.cred'))).rejects.toMatchObject({ code: 'wrong_mesh' })
    const nowMs = Date.now()
    const expired = await addUser(mesh.dir, 'past', { notBeforeMs: nowMs - 20_000, notAfterMs: nowMs - 10_000 })
    await expect(open(expired)).rejects.toMatchObject({ code: 'certificate_expired' })
    await Promise.all([mesh.close(), other.close()])
  })

  it('refuses a second listener of one name, with the reason', async () => {
    const mesh = await startMesh(1)
    const [first, second] = await Promise.all([mesh.client('bob'), mesh.client('bob')])
    await first.listen({ application: 'web' })
    await expect(second.listen({ application: 'web' })).rejects.toMatchObject({ code: 'name_taken' })
    await mesh.close()
  })
})

async function exchange(alice: Client, bob: Client, bytes: number): Promise<void> {
  const [caller, listener] = await pair(alice, bob, `exchange-${bytes}`)
  const message = randomBytes(bytes)
  await Promise.all([caller.send(message), listener.send(message)])
  const [there, back] = await Promise.all([listener.receive({ timeoutMs: 25_000 }), caller.receive({ timeoutMs: 25_000 })])
  expect(Buffer.compare(there!, message)).toBe(0)
  expect(Buffer.compare(back!, message)).toBe(0)
  await caller.close()
}

function collect(stream: Stream): Promise<Buffer> {
  const parts: Uint8Array[] = []
  stream.onData((bytes) => parts.push(bytes))
  return new Promise((resolve, reject) => {
    stream.onEnd(() => resolve(Buffer.concat(parts)))
    stream.onReset((code) => reject(new Error(`reset ${code}`)))
  })
}

function echo(stream: Stream): void {
  stream.onData((bytes) => {
    if (!stream.write(bytes)) stream.pause()
  })
  stream.onDrain(() => stream.resume())
  stream.onEnd(() => stream.end())
}
