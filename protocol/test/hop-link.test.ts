import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, encodeControl, type HopControl, HopLink, hex, type LinkEffect, simulatorCrypto } from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { clientOptions, header, hopWorld, LinkPair, relayOptions, type Tamper } from './hop-fixtures.ts'
import { seededRandom } from './seeded-random.ts'

const world = hopWorld(nodeCrypto())
const cheap = hopWorld(simulatorCrypto(seededRandom(4)))

function established(here = cheap, tamper?: Tamper): LinkPair {
  return new LinkPair(clientOptions(here), relayOptions(here), tamper).start()
}

test('packets and control arrive as they were sent, whatever way the chunks are cut', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          client: fc.boolean(),
          circuit: fc.integer({ min: 1, max: 3 }),
          sizes: fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1, maxLength: 4 }),
          control: fc.boolean(),
          pump: fc.boolean(),
        }),
        { maxLength: 40 },
      ),
      fc.integer({ min: 1, max: 3_000 }),
      fc.integer(),
      (steps, cutMax, seed) => {
        const random = seededRandom(seed)
        const pair = established(cheap, (_from, bytes) => {
          const chunks: Uint8Array[] = []
          for (let at = 0; at < bytes.length; ) {
            const end = at + 1 + Math.floor(random() * cutMax)
            chunks.push(bytes.slice(at, end))
            at = end
          }
          return chunks
        })
        const sent = { client: [] as string[], relay: [] as string[] }
        const controls = { client: [] as HopControl[], relay: [] as HopControl[] }
        steps.forEach(({ client, circuit, sizes, control, pump }, counter) => {
          const side = client ? 'client' : 'relay'
          const pieces = sizes.map((length) => Uint8Array.from({ length }, () => random() * 256))
          pair[side].sendPacket(circuit, { ...header, counter }, pieces)
          sent[side].push(`${circuit} ${counter} ${hex(concat(pieces))}`)
          if (control) {
            const message: HopControl = { type: 'circuitCredit', circuit, limit: counter, wait: client }
            pair[side].sendControl(message)
            controls[side].push(message)
          }
          if (pump) pair.pump()
        })
        pair.pump()
        for (const [from, to] of [
          ['client', 'relay'],
          ['relay', 'client'],
        ] as const) {
          const got = pair
            .of(to, 'packet')
            .map(({ circuit, header: { counter }, pieces }) => `${circuit} ${counter} ${hex(concat(pieces))}`)
          // One circuit's packets keep their order; circuits take turns.
          for (const circuit of [1, 2, 3]) {
            const of = (all: string[]): string[] => all.filter((one) => one.startsWith(`${circuit} `))
            expect(of(got)).toEqual(of(sent[from]))
          }
          expect(pair.of(to, 'control').map(({ message }) => message)).toEqual(controls[from])
          const drained = pair.of(from, 'drained').reduce((bytes, effect) => bytes + effect.bytes, 0)
          expect(drained).toBe(sent[from].reduce((bytes, line) => bytes + line.split(' ')[2]!.length / 2, 0))
          expect(pair[from].queuedBytes()).toBe(0)
        }
        expect(pair.codes()).toEqual({ client: undefined, relay: undefined })
      },
    ),
    { numRuns: 60 },
  )
})

test('a payload is never copied: the pieces written are those given, the pieces received are slices of the chunks', () => {
  const pair = established(world)
  const pieces = [new Uint8Array(40_000).fill(1), new Uint8Array(20_000).fill(2)]
  pair.client.sendPacket(1, header, pieces)
  pair.pump()
  const write = pair.of('client', 'write').find((effect) => effect.pieces.includes(pieces[0]!))
  expect(write?.pieces.slice(1)).toEqual(pieces)
  expect(write?.pieces[2]).toBe(pieces[1])
  const [packet] = pair.of('relay', 'packet')
  expect(packet!.pieces.map((piece) => piece.buffer)).toEqual(pieces.map((piece) => piece.buffer))
})

test('one turn of many small packets is one record with one seal', () => {
  const pair = established()
  const before = pair.of('client', 'write').length
  for (let counter = 0; counter < 64; counter += 1) pair.client.sendPacket(1, { ...header, counter }, [new Uint8Array(100)])
  pair.pump()
  expect(pair.of('client', 'write').length - before).toBe(1)
  expect(pair.of('client', 'drained').at(-1)).toEqual({ type: 'drained', circuit: 1, bytes: 6_400 })
})

test('a carrier that is full gets no more records, and control and loose packets overtake what waits', () => {
  const pair = established()
  pair.client.carrierWritable(pair.nowMs, false)
  for (let counter = 0; counter < 100; counter += 1) pair.client.sendPacket(1, { ...header, counter }, [new Uint8Array(30_000)])
  const writes = pair.of('client', 'write').length
  pair.pump()
  expect(pair.of('client', 'write')).toHaveLength(writes)
  pair.client.sendPacket(1, { ...header, kind: 2, counter: 5 }, [new Uint8Array(30)])
  pair.client.sendControl({ type: 'leave', joinId: 3 })
  pair.client.carrierWritable(pair.nowMs, true)
  pair.pump()
  const atRelay = pair.effects.relay.filter(({ type }) => type === 'packet' || type === 'control')
  expect(atRelay[0]).toEqual({ type: 'control', message: { type: 'leave', joinId: 3 } })
  expect(atRelay[1]).toMatchObject({ header: { kind: 2 } })
  expect(atRelay).toHaveLength(102)
})

test('what is queued before the link is established goes out after it', () => {
  const pair = new LinkPair(clientOptions(world), relayOptions(world))
  pair.client.sendControl({ type: 'listen', listenId: 1, application: 'web', from: '*' })
  pair.relay.sendControl({ type: 'drain', withinMs: 5, spreadMs: 6 })
  pair.start()
  expect(pair.of('relay', 'control')).toHaveLength(1)
  expect(pair.of('client', 'control')[0]?.message).toEqual({ type: 'drain', withinMs: 5, spreadMs: 6 })
})

test('close says why to the other end, and is the last effect of both', () => {
  const pair = established()
  pair.relay.close('draining', 'going down')
  pair.pump()
  expect(pair.codes()).toEqual({ client: '<draining', relay: 'draining' })
  expect(pair.effects.client.at(-1)).toEqual({ type: 'closed', code: 'draining', message: 'going down', remote: true })
  expect(pair.effects.relay.at(-1)?.type).toBe('closed')
})

test('close before the handshake is done tells the other end too', () => {
  const pair = new LinkPair(clientOptions(world), relayOptions(world))
  pair.client.first(pair.nowMs)
  pair.client.close('cancelled', 'not wanted any more')
  pair.pump()
  expect(pair.codes()).toEqual({ client: 'cancelled', relay: '<cancelled' })
})

describe('flipping a bit of an established link', () => {
  test('in a record block closes both ends with bad_record', () => {
    for (let at = 0; at < 40; at += 1) {
      let from = Number.POSITIVE_INFINITY
      const pair = established(cheap, (side, bytes, offset) => {
        if (side !== 'client' || offset < from) return [bytes]
        const changed = bytes.slice()
        if (at < changed.length) changed[at]! ^= 1
        from = Number.POSITIVE_INFINITY
        return [changed]
      })
      from = pair.written.client
      pair.client.sendControl({ type: 'leave', joinId: 1 })
      pair.pump().advance(40_000)
      // A flipped length waits for bytes that do not come: the heartbeat ends it.
      if (at >= 2) expect(pair.codes()).toEqual({ client: '<bad_record', relay: 'bad_record' })
      else expect(Object.values(pair.codes()).join()).toMatch(/^(<bad_record,bad_record|.*heartbeat_timeout.*)$/)
    }
  })
})

describe('the heartbeat', () => {
  test('of an idle link measures the round trip about every 15 s, from the client only', () => {
    const pair = established()
    pair.advance(10 * 60_000)
    const beats = pair.of('client', 'rtt').length
    expect(beats).toBeGreaterThanOrEqual(1 + 36)
    expect(beats).toBeLessThanOrEqual(1 + 45)
    expect(pair.of('relay', 'rtt')).toHaveLength(1)
    expect(pair.codes()).toEqual({ client: undefined, relay: undefined })
  })

  test('is seldom in saver mode', () => {
    const pair = new LinkPair(clientOptions(cheap, { heartbeat: 'saver' }), relayOptions(cheap)).start()
    pair.advance(10 * 60_000)
    expect(pair.of('client', 'rtt').length).toBeLessThanOrEqual(1 + 13)
    expect(pair.of('relay', 'rtt')).toHaveLength(1)
  })

  test.each([
    ['both ways', ['client', 'relay']],
    ['from the client', ['client']],
    ['from the relay', ['relay']],
  ] as const)('finds an idle path that swallows bytes %s, on both ends, in time', (_why, cut) => {
    const pair = established()
    for (const side of cut) pair.cut.add(side)
    pair.advance(20_000)
    expect(pair.codes().client ?? pair.codes().relay).toContain('heartbeat_timeout')
    pair.advance(2_000)
    expect(Object.values(pair.codes())).not.toContain(undefined)
  })

  test('probe finds it in 3 s', () => {
    const pair = established()
    pair.cut.add('relay')
    pair.client.probe(pair.nowMs)
    pair.pump().advance(3_000)
    expect(pair.codes().client).toBe('heartbeat_timeout')
  })

  /** So many packets to the client, one each 200 ms. */
  const flow = (pair: LinkPair, packets: number): void => {
    for (let counter = 0; counter < packets; counter += 1) {
      pair.relay.sendPacket(1, { ...header, counter }, [new Uint8Array(100)])
      pair.pump().advance(200)
    }
  }

  test.each([['saver'], ['normal']] as const)('of a flow that stops finds in 5 s that the path is gone, in %s mode', (heartbeat) => {
    const pair = new LinkPair(clientOptions(cheap, { heartbeat }), relayOptions(cheap)).start()
    flow(pair, 20)
    pair.cut.add('relay').add('client')
    pair.advance(4_700)
    expect(pair.codes().client).toBeUndefined()
    pair.advance(200)
    expect(pair.codes().client).toBe('heartbeat_timeout')
  })

  test('asks once when a flow stops, and not for a few packets, nor while it goes on', () => {
    const beats = (packets: number): number => {
      const pair = new LinkPair(clientOptions(cheap, { heartbeat: 'saver' }), relayOptions(cheap)).start()
      flow(pair, packets)
      pair.advance(10_000)
      return pair.of('client', 'rtt').length - 1
    }
    expect([7, 8, 100].map(beats)).toEqual([0, 1, 1])
  })

  test('is put off by each packet of a flow, so that nobody is woken to see that it goes on', () => {
    const pair = new LinkPair(clientOptions(cheap, { heartbeat: 'saver' }), relayOptions(cheap)).start()
    for (let packets = 0; packets < 20; packets += 1) {
      flow(pair, 1)
      expect(pair.client.wakeAtMs()).toBe(pair.nowMs - 200 + 2_000)
    }
  })

  test('does not judge after our own pause: it asks again', () => {
    const held: Uint8Array[] = []
    let hold = false
    const pair = established(cheap, (from, bytes) => {
      if (!hold || from === 'client') return [bytes]
      held.push(bytes)
      return []
    })
    hold = true
    pair.client.probe(pair.nowMs)
    pair.pump()
    hold = false
    // Stopped for a minute: the wake-up is late.
    pair.nowMs += 60_000
    pair.client.wake(pair.nowMs)
    for (const bytes of held) pair.client.receive(pair.nowMs, bytes)
    pair.pump().advance(10_000)
    expect(pair.codes().client).toBeUndefined()
    expect(pair.of('client', 'rtt').length).toBeGreaterThanOrEqual(2)
  })

  test('a slow record is life: bytes that keep coming put the verdict off', () => {
    const pair = established(cheap)
    const chunks: Uint8Array[] = []
    const [established0] = pair.of('client', 'established')
    expect(established0).toBeDefined()
    pair.cut.add('relay')
    pair.relay.sendPacket(1, header, [new Uint8Array(60_000)])
    for (let effect = pair.relay.poll(); effect !== undefined; effect = pair.relay.poll()) {
      if (effect.type === 'write') chunks.push(concat(effect.pieces))
    }
    const record = concat(chunks)
    pair.client.probe(pair.nowMs)
    pair.pump()
    for (let at = 0; at < record.length; at += 6_000) {
      pair.advance(2_000)
      pair.client.receive(pair.nowMs, record.slice(at, at + 6_000))
    }
    expect(pair.codes().client).toBeUndefined()
    expect(drain(pair.client).filter(({ type }) => type === 'packet')).toHaveLength(1)
    pair.advance(40_000)
    expect(pair.codes().client).toBe('heartbeat_timeout')
  })
})

function drain(link: HopLink): LinkEffect[] {
  const effects: LinkEffect[] = []
  for (let effect = link.poll(); effect !== undefined; effect = link.poll()) effects.push(effect)
  return effects
}

test('a carrier that takes nothing while something waits is given up; one that has nothing to take is not', () => {
  const pair = new LinkPair(clientOptions(cheap, { writeStallMs: 2_000 }), relayOptions(cheap)).start()
  pair.client.carrierWritable(pair.nowMs, false)
  pair.advance(3_000)
  expect(pair.codes().client).toBeUndefined()
  pair.client.sendControl({ type: 'leave', joinId: 1 })
  pair.advance(2_100)
  expect(pair.codes().client).toBe('write_stalled')
})

test('control that nobody takes is bounded', () => {
  const pair = established()
  pair.client.carrierWritable(pair.nowMs, false)
  const message: HopControl = { type: 'answer', offerId: 1, handshake: new Uint8Array(8_000) }
  for (let index = 0; index < 200; index += 1) pair.client.sendControl(message)
  pair.pump()
  expect(pair.codes().client).toBe('control_overflow')
})

test('a control message over 16 KiB is refused where it is made', () => {
  const pair = established()
  const message: HopControl = { type: 'answer', offerId: 1, handshake: new Uint8Array(16_384) }
  expect(() => pair.client.sendControl(message)).toThrowError(expect.objectContaining({ code: 'too_large' }))
})

test.each([
  ['an empty packet', 1, 0],
  ['a packet over 64 KiB', 1, 65_537],
  ['a packet on circuit 0', 0, 10],
])('%s is our own fault and throws', (_why, circuit, bytes) => {
  const pair = established()
  expect(() => pair.client.sendPacket(circuit, header, [new Uint8Array(bytes)])).toThrowError(expect.objectContaining({ code: 'internal' }))
})

test('65 536 records and more: the keys change, nothing is lost', () => {
  const pair = established()
  for (let counter = 0; counter < 66_000; counter += 1) {
    pair.client.sendPacket(1, { ...header, counter }, [new Uint8Array(10)])
    pair.pump()
    pair.effects.client.length = 0
    if (counter % 1_000 === 0) expect(pair.of('relay', 'packet').at(-1)?.header.counter).toBe(counter)
    if (pair.effects.relay.length > 1_000) pair.effects.relay.length = 0
  }
  expect(pair.codes()).toEqual({ client: undefined, relay: undefined })
})

describe('random bytes', () => {
  test.each(['client', 'relay', 'established client'] as const)('into a %s only close it', (to) => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 30 }), (chunks) => {
        const pair = new LinkPair(clientOptions(cheap), relayOptions(cheap))
        if (to === 'established client') pair.start()
        else if (to === 'client') pair.client.first(pair.nowMs)
        const link = to === 'relay' ? pair.relay : pair.client
        for (const chunk of chunks) link.receive(pair.nowMs, chunk)
        for (let at = link.wakeAtMs(); at !== undefined; at = link.wakeAtMs()) {
          link.wake(at)
          drainInto(link, pair.effects.client)
        }
        drainInto(link, pair.effects.client)
        expect(pair.effects.client.at(-1)?.type).toBe('closed')
      }),
      { numRuns: 200 },
    )
  })
})

function drainInto(link: HopLink, effects: LinkEffect[]): void {
  effects.push(...drain(link))
}

test('before it is authenticated a peer is read for 8 KiB at most', () => {
  const relay = new HopLink(relayOptions(world))
  relay.receive(0, new Uint8Array([0x20, 0x00, 1]))
  expect(drain(relay).at(-1)).toMatchObject({ type: 'closed', code: 'handshake_too_large' })
})

test('a handshake that never comes ends after 10 s', () => {
  const relay = new HopLink(relayOptions(world))
  relay.wake(5)
  expect(relay.wakeAtMs()).toBe(10_005)
  relay.wake(10_005)
  expect(drain(relay).at(-1)).toMatchObject({ type: 'closed', code: 'handshake_timeout' })
})

test('encoded control is what the other machine reads', () => {
  expect(hex(encodeControl({ type: 'close', code: 'closed', message: '' }))).toBe('9a01080a06636c6f736564')
})
