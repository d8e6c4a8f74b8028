import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Aead,
  type CryptoProvider,
  concat,
  deriveSessionSecrets,
  hex,
  joinTag,
  PACKET_KIND,
  type PacketHeader,
  PacketSealer,
  type SessionSecrets,
  simulatorCrypto,
  unhex,
  utf8,
} from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { seededRandom } from './seeded-random.ts'

const crypto = simulatorCrypto(seededRandom(2))
const handshake = {
  initiatorKey: new Uint8Array(32).fill(1),
  responderKey: new Uint8Array(32).fill(2),
  handshakeHash: new Uint8Array(32).fill(3),
}
const connectionId = new Uint8Array(16).fill(4)

function secretsOf(role: 'caller' | 'listener', provider: CryptoProvider = crypto, id: Uint8Array = connectionId): SessionSecrets {
  return deriveSessionSecrets(provider, role, handshake, id)
}

function pair(provider: CryptoProvider = crypto): { caller: PacketSealer; listener: PacketSealer } {
  return {
    caller: new PacketSealer(provider, secretsOf('caller', provider)),
    listener: new PacketSealer(provider, secretsOf('listener', provider)),
  }
}

const headerOf = (counter: number, epoch = 0, kind: number = PACKET_KIND.data): PacketHeader => ({ form: 0, kind, epoch, counter })
const payload = [utf8('payload')]

// Made by an independent implementation of docs/protocol.md (HKDF and RFC 8439 written out in another language).
describe('golden', () => {
  const real = nodeCrypto()
  const secrets = secretsOf('caller', real)

  test('keys of a connection', () => {
    expect(hex(secrets.sendControlKey)).toBe('a89f95cec1e5ce7f5b63bafd585ba9cacc295cdd295352e2d4d232be509e3e50')
    expect(hex(secrets.sendDataKey)).toBe('5b8a0d0bde3faa20067199e5263280a70d02a0710305da41571eb3c07558f811')
    expect(hex(secrets.pathSecret)).toBe('d41f4de16c52d21f64867fa293da3e0570679a466341032e8dd371d4a56009a8')
    expect(hex(joinTag(real, secrets, 'r1'))).toBe('338d8236fe988b6858f0d098efe832bd')
  })

  test('a data packet in epoch 0 and one in epoch 1', () => {
    const { caller, listener } = pair(real)
    const first = caller.seal(headerOf(0x0102030405), payload)
    expect(hex(concat(first))).toBe('e1b0febac4ae024eeae58ee08acd33929ea904b3029dc7')
    caller.advanceSend()
    const second = caller.seal(headerOf(0x0102030406, 1), payload)
    expect(hex(concat(second))).toBe('087f381b040994fdaaeff2588d84d1de5f567030f2720e')
    expect(hex(listener.open(headerOf(0x0102030405), first)!)).toBe(hex(payload[0]!))
    expect(hex(listener.open(headerOf(0x0102030406, 1), second)!)).toBe(hex(payload[0]!))
  })
})

describe('a sealer', () => {
  test.each([PACKET_KIND.data, PACKET_KIND.control, PACKET_KIND.loose, PACKET_KIND.datagram])('carries kind %s both ways', (kind) => {
    const { caller, listener } = pair()
    const header = headerOf(0, 0, kind)
    expect(listener.open(header, caller.seal(header, payload))).toEqual(payload[0])
    expect(caller.open(header, listener.seal(header, payload))).toEqual(payload[0])
  })

  test('opens nothing that was reflected, or sealed for another connection', () => {
    const { caller } = pair()
    const other = new PacketSealer(crypto, secretsOf('listener', crypto, new Uint8Array(16).fill(5)))
    const sealed = caller.seal(headerOf(0), payload)
    expect(caller.open(headerOf(0), sealed)).toBeUndefined()
    expect(other.open(headerOf(0), sealed)).toBeUndefined()
  })

  test.each([
    ['counter', headerOf(8)],
    ['kind', headerOf(7, 0, PACKET_KIND.control)],
    ['kind of the same key', headerOf(7, 0, PACKET_KIND.datagram)],
    ['epoch', headerOf(7, 1)],
    ['a kind that is never sealed', headerOf(7, 0, PACKET_KIND.handshake)],
    ['a kind that is none', headerOf(7, 0, 9)],
    ['a counter that is none', headerOf(-1)],
    ['an epoch that is none', headerOf(7, 65_536)],
  ])('opens nothing under another header: %s', (_why, header) => {
    const { caller, listener } = pair()
    const sealed = caller.seal(headerOf(7), payload)
    expect(listener.open(header, sealed)).toBeUndefined()
    expect(listener.open(headerOf(7), sealed)).toEqual(payload[0])
  })

  test.each([
    ['a counter used already', headerOf(5)],
    ['a lower counter', headerOf(4)],
    ['a counter that is none', headerOf(5.5)],
    ['another epoch', headerOf(6, 1)],
    ['the kind of the handshake', headerOf(6, 0, PACKET_KIND.handshake)],
    ['a kind that is none', headerOf(6, 0, 5)],
  ])('refuses to seal %s', (_why, header) => {
    const { caller } = pair()
    caller.seal(headerOf(5), payload)
    expect(() => caller.seal(header, payload)).toThrow(expect.objectContaining({ code: 'internal' }))
    expect(concat(caller.seal(headerOf(6), payload)).length).toBe(payload[0]!.length + 16)
  })

  test('keeps its counters over a new epoch', () => {
    const { caller } = pair()
    caller.seal(headerOf(5), payload)
    caller.advanceSend()
    expect(() => caller.seal(headerOf(5, 1), payload)).toThrow('no nonce may be used twice')
  })
})

describe('epochs', () => {
  test('the receiver follows one ahead, and keeps the one before', () => {
    const { caller, listener } = pair()
    const late = caller.seal(headerOf(0), payload)
    expect(caller.advanceSend()).toBe(1)
    expect(listener.receiveState(1)).toBe('open')
    expect(listener.open(headerOf(1, 1), caller.seal(headerOf(1, 1), payload))).toEqual(payload[0])
    expect(listener.receiveEpoch).toBe(1)
    expect(listener.open(headerOf(0), late)).toEqual(payload[0])
  })

  test('two ahead is not derived, however true it is', () => {
    const { caller, listener } = pair()
    caller.advanceSend()
    const one = caller.seal(headerOf(0, 1), payload)
    caller.advanceSend()
    const two = caller.seal(headerOf(1, 2), payload)
    expect(listener.open(headerOf(1, 2), two)).toBeUndefined()
    expect(listener.receiveState(2)).toBe('ahead')
    expect(listener.open(headerOf(0, 1), one)).toEqual(payload[0])
    expect(listener.open(headerOf(1, 2), two)).toEqual(payload[0])
  })

  test('a forged packet of the next epoch moves nothing', () => {
    const { caller, listener } = pair()
    for (let index = 0; index < 100; index += 1) expect(listener.open(headerOf(index, 1), [new Uint8Array(40)])).toBeUndefined()
    expect(listener.receiveEpoch).toBe(0)
    expect(listener.receiveState(2)).toBe('ahead')
    expect(listener.open(headerOf(0), caller.seal(headerOf(0), payload))).toEqual(payload[0])
  })

  test('no number of packets makes the receiver derive more than one ahead of what authenticated', () => {
    let derived = 0
    const counting: CryptoProvider = {
      ...crypto,
      aead: (key) => {
        derived += 1
        return crypto.aead(key)
      },
    }
    const listener = new PacketSealer(counting, secretsOf('listener'))
    const before = derived
    for (let epoch = 0; epoch < 65_536; epoch += 17) listener.open(headerOf(epoch, epoch), [new Uint8Array(40)])
    for (let round = 0; round < 10; round += 1) listener.open(headerOf(round, 1), [new Uint8Array(40)])
    expect(derived - before).toBe(2)
  })

  test('a dropped epoch opens nothing and says so; the newest is never dropped', () => {
    const { caller, listener } = pair()
    const late = caller.seal(headerOf(0), payload)
    caller.advanceSend()
    listener.dropReceive(0)
    expect(listener.open(headerOf(0), late)).toEqual(payload[0])
    listener.open(headerOf(1, 1), caller.seal(headerOf(1, 1), payload))
    listener.dropReceive(0)
    expect(listener.open(headerOf(0), late)).toBeUndefined()
    expect(listener.receiveState(0)).toBe('dropped')
    listener.dropReceive(1)
    expect(listener.open(headerOf(2, 1), caller.seal(headerOf(2, 1), payload))).toEqual(payload[0])
  })

  test('the epoch before the last goes by itself', () => {
    const { caller, listener } = pair()
    const late = caller.seal(headerOf(0), payload)
    for (let epoch = 1; epoch <= 2; epoch += 1) {
      caller.advanceSend()
      listener.open(headerOf(epoch, epoch), caller.seal(headerOf(epoch, epoch), payload))
    }
    expect(listener.open(headerOf(0), late)).toBeUndefined()
    expect(listener.receiveState(0)).toBe('dropped')
    expect(listener.receiveState(1)).toBe('open')
  })

  test('go on past the 65 536 that the header can name', () => {
    const { caller, listener } = pair()
    let last: Uint8Array[] = []
    for (let epoch = 1; epoch <= 65_540; epoch += 1) {
      const wire = caller.advanceSend()
      expect(wire).toBe(epoch % 65_536)
      last = caller.seal(headerOf(epoch, wire), payload)
      expect(listener.open(headerOf(epoch, wire), last)).toBeDefined()
    }
    expect(listener.receiveEpoch).toBe(4)
    expect(listener.receiveState(65_535)).toBe('dropped')
    expect(listener.receiveState(6)).toBe('ahead')
  })
})

test('nothing is ever sealed twice with one key and nonce, whatever a caller of this class does', () => {
  const action = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        act: fc.constant('seal' as const),
        kind: fc.nat(5),
        counter: fc.nat(12),
        epochOff: fc.constantFrom(0, 0, 0, 1),
        fill: fc.nat(255),
      }),
    },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('advance' as const) }) },
  )
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const seen = new Map<string, string>()
      const watching: CryptoProvider = { ...crypto, aead: (key) => watched(crypto.aead(key), hex(key), seen) }
      const { caller, listener } = pair(watching)
      for (const step of actions) {
        if (step.act === 'advance') {
          caller.advanceSend()
          continue
        }
        for (const sealer of [caller, listener]) {
          try {
            sealer.seal(headerOf(step.counter, sealer.sendEpoch + step.epochOff, step.kind), [new Uint8Array([step.fill])])
          } catch (error) {
            expect(error).toMatchObject({ code: 'internal' })
          }
        }
      }
    }),
    { numRuns: 2_000 },
  )
})

test('a sealed packet opens on any path: nothing of the header but kind, epoch and counter matters', () => {
  const { caller, listener } = pair()
  const sealed = caller.seal(headerOf(1), payload)
  expect(listener.open({ ...headerOf(1), form: 0 }, [concat(sealed)])).toEqual(payload[0])
  expect(listener.open(headerOf(1), [unhex('')])).toBeUndefined()
})

/** Fails when one key and nonce ever seal two different things. */
function watched(aead: Aead, key: string, seen: Map<string, string>): Aead {
  return {
    seal(nonce, associatedData, plaintext) {
      const use = `${key} ${hex(nonce)}`
      const what = `${hex(associatedData)} ${hex(concat(plaintext))}`
      expect(seen.get(use)).toBeUndefined()
      seen.set(use, what)
      return aead.seal(nonce, associatedData, plaintext)
    },
    open: (nonce, associatedData, sealed) => aead.open(nonce, associatedData, sealed),
  }
}
