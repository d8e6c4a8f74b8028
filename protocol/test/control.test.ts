import { create, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ControlSchema } from '../src/control/gen/sennit/v1/control_pb.ts'
import { decodeControl, encodeControl, type HopControl, hex, ProtocolError, SennitError, unhex } from '../src/index.ts'

const id = (value: number): Uint8Array => new Uint8Array(16).fill(value)
const request = {
  user: 'bob',
  label: 'laptop',
  application: 'postgres',
  connectionId: id(1),
  attempt: 300,
  instance: id(2),
  handshake: unhex('c0ffee'),
} as const

/** One of each, with its bytes: numbers and layouts never change. */
const golden: readonly (readonly [HopControl, string])[] = [
  [{ type: 'listen', listenId: 1, application: 'web', from: '*' }, '0a0a08011203776562' + '1a012a'],
  [{ type: 'unlisten', listenId: 1 }, '12020801'],
  [
    { type: 'connect', requestId: 5, ...request },
    `1a4508051203626f621a066c6170746f702208706f7374677265732a10${'01'.repeat(16)}30ac023a10${'02'.repeat(16)}4a03c0ffee`,
  ],
  [
    { type: 'connect', requestId: 5, ...request, previous: id(3) },
    `1a5708051203626f621a066c6170746f702208706f7374677265732a10${'01'.repeat(16)}30ac023a10${'02'.repeat(16)}4210${'03'.repeat(16)}4a03c0ffee`,
  ],
  [{ type: 'cancel', requestId: 5 }, '22020805'],
  [{ type: 'answer', offerId: 6, handshake: unhex('aa') }, '2a0508061201aa'],
  [{ type: 'reject', offerId: 6, code: 'busy' }, '320808061204' + '62757379'],
  [{ type: 'join', joinId: 7, tag: id(9), user: 'bob', label: '' }, `3a1908071210${'09'.repeat(16)}1a03626f62`],
  [{ type: 'leave', joinId: 7 }, '42020807'],
  [{ type: 'circuitTag', circuit: 8, tag: id(9) }, `521408081210${'09'.repeat(16)}`],
  [{ type: 'circuitClose', circuit: 8, reason: 'gone' }, '820108080812' + '04676f6e65'],
  [{ type: 'ping', nonce: 7 }, '8a01020807'],
  [{ type: 'pong', nonce: 7 }, '9201020807'],
  [{ type: 'close', code: 'closed', message: 'bye' }, '9a010d0a06636c6f736564' + '1203627965'],
  [{ type: 'listening', listenId: 1 }, '8202020801'],
  [{ type: 'listenRefused', listenId: 1, code: 'name_taken', message: 'm' }, '8a02110801120a6e616d655f74616b656e1a016d'],
  [
    { type: 'offer', offerId: 6, listenId: 1, ...request },
    `920247080610011a03626f6222066c6170746f702a08706f7374677265733210${'01'.repeat(16)}38ac024210${'02'.repeat(16)}5203c0ffee`,
  ],
  [{ type: 'opened', offerId: 6, circuit: 8, credit: 1_048_576 }, '9a0208080610081880804' + '0'],
  [{ type: 'connected', requestId: 5, circuit: 8, credit: 1_048_576, handshake: unhex('bb') }, 'a2020b0805100818808040' + '2201bb'],
  [{ type: 'result', requestId: 5, code: 'wait', message: '' }, 'aa020808051204' + '77616974'],
  [{ type: 'joined', joinId: 7, circuit: 8, credit: 1 }, 'b20206080710081801'],
  [{ type: 'joinRefused', joinId: 7, code: 'limit' }, 'ba0209080712056c696d6974'],
  [{ type: 'circuitCredit', circuit: 8, limit: 2 ** 53 - 1, wait: true }, 'c2020d080810ffffffffffffff0f1801'],
  [{ type: 'drain', withinMs: 5_000, spreadMs: 2_000 }, 'ca020608882710d00f'],
  [{ type: 'welcome', attachmentId: id(4) }, `d202120a10${'04'.repeat(16)}`],
  [{ type: 'relayListWanted', version: 3 }, '4a020803'],
  [{ type: 'relayListPart', version: 3, offset: 2, total: 5, data: unhex('c0ffee') }, 'da020b0803100218052203c0ffee'],
  [{ type: 'load', queueMs: 40 }, 'e202020828'],
  [{ type: 'makeRoom', withinMs: 5_000, spreadMs: 3_000, forMs: 60_000 }, 'ea020a088827' + '10b81718e0d403'],
]

describe('golden hex of', () => {
  test.each(golden)('$type', (message, bytes) => {
    expect(hex(encodeControl(message))).toBe(bytes)
    expect(decodeControl(unhex(bytes))).toEqual(message)
  })
})

test('unknown fields and unknown messages are ignored', () => {
  // ping with field 15 inside and field 99 outside
  expect(decodeControl(unhex('8a01050807' + '7a0161' + '9a0600'))).toEqual({ type: 'ping', nonce: 7 })
  expect(decodeControl(unhex('9a06020801'))).toBeUndefined()
  expect(decodeControl(new Uint8Array(0))).toBeUndefined()
})

test.each([
  ['a connection id of 15 bytes', hex(encodeControl({ type: 'connect', requestId: 1, ...request, connectionId: new Uint8Array(15) }))],
  ['a join tag of 17 bytes', hex(encodeControl({ type: 'join', joinId: 1, tag: new Uint8Array(17), user: 'b', label: '' }))],
  ["a circuit's tag of 15 bytes", hex(encodeControl({ type: 'circuitTag', circuit: 1, tag: new Uint8Array(15) }))],
  ['a name of 256 letters', hex(encodeControl({ type: 'listen', listenId: 1, application: 'x'.repeat(256), from: '*' }))],
  ['a message of 2 KiB', hex(encodeControl({ type: 'close', code: 'x', message: 'y'.repeat(2_048) }))],
  ['a credit of 2^53', 'c2020b080810' + '8080808080808010'],
  ['a length past the end', '0aff01'],
  ['text that is not UTF-8', '0a041202ff' + 'ff'],
  ['more than 16 KiB', '00'.repeat(16_385)],
])('%s is malformed', (_why, bytes) => {
  expect(() => decodeControl(unhex(bytes))).toThrowError(expect.objectContaining({ code: 'malformed' }))
})

test('a message that would be over 16 KiB is refused where it is made', () => {
  expect(() => encodeControl({ type: 'answer', offerId: 1, handshake: new Uint8Array(16_384) })).toThrowError(SennitError)
})

test('mutated messages decode, are ignored, or are a ProtocolError; nothing else', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...golden),
      fc.array(fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }), cut: fc.boolean() }), { minLength: 1, maxLength: 5 }),
      ([, bytes], changes) => {
        let mutated = unhex(bytes)
        for (const { at, value, cut } of changes) {
          mutated[at % Math.max(1, mutated.length)] = value
          if (cut) mutated = mutated.slice(0, at % (mutated.length + 1))
        }
        expectSound(mutated)
      },
    ),
    { numRuns: 3_000 },
  )
})

test('random bytes decode, are ignored, or are a ProtocolError; nothing else', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), expectSound), { numRuns: 2_000 })
})

function expectSound(bytes: Uint8Array): void {
  try {
    const message = decodeControl(bytes)
    // What decodes can be encoded again.
    if (message !== undefined) encodeControl(message)
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError)
  }
}

test('pings and pongs, which are written by hand, are the bytes of protobuf and are read back', () => {
  fc.assert(
    fc.property(fc.constantFrom('ping', 'pong'), fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 0xffff_ffff })), (type, nonce) => {
      const written = encodeControl({ type, nonce })
      expect(hex(written)).toBe(hex(toBinary(ControlSchema, create(ControlSchema, { message: { case: type, value: { nonce } } as never }))))
      expect(decodeControl(written)).toEqual({ type, nonce })
    }),
  )
})

test('a ping that another encoder wrote otherwise is read all the same', () => {
  // A varint with a needless zero byte, the fields in a longer message with an unknown one.
  expect(decodeControl(unhex('8a0103088700'))).toEqual({ type: 'ping', nonce: 7 })
  expect(decodeControl(unhex('8a010408071001'))).toEqual({ type: 'ping', nonce: 7 })
})
