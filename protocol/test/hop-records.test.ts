import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeBlock, type OutgoingPacket, RecordReader, recordBytesMax } from '../src/hop/record.ts'
import { RecordCipher, recordsPerKey } from '../src/hop/record-cipher.ts'
import {
  concat,
  emptyBytes,
  encodeControl,
  equalBytes,
  hex,
  type PacketHeader,
  ProtocolError,
  simulatorCrypto,
  totalBytes,
  unhex,
} from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { seededRandom } from './seeded-random.ts'

const crypto = nodeCrypto()
const key = new Uint8Array(32).fill(0x42)

function packet(circuit: number, payload: Uint8Array, wishes: Partial<PacketHeader> = {}): OutgoingPacket {
  return { circuit, header: { form: 0, kind: 0, epoch: 0, counter: 0, ...wishes }, pieces: [payload], bytes: payload.length }
}

interface Read {
  readonly controls: Uint8Array[]
  readonly packets: { circuit: number; header: PacketHeader; pieces: Uint8Array[] }[]
}

function reader(cipher?: RecordCipher, lent?: boolean): { reader: RecordReader; read: Read } {
  const read: Read = { controls: [], packets: [] }
  const sink = {
    openBlock: (sealed: Uint8Array): Uint8Array => {
      const block = cipher === undefined ? sealed : cipher.open(sealed)
      if (block === undefined) throw new ProtocolError('bad_record', 'forged')
      return block
    },
    onControl: (body: Uint8Array) => void read.controls.push(body),
    onPacket: (circuit: number, header: PacketHeader, pieces: Uint8Array[]) => void read.packets.push({ circuit, header, pieces }),
  }
  return { reader: new RecordReader(sink, recordBytesMax, lent), read }
}

/** A record whose block is not sealed. */
function clear(block: Uint8Array, ...payloads: Uint8Array[]): Uint8Array {
  return concat([new Uint8Array([block.length >>> 8, block.length]), block, ...payloads])
}

test('a reader says how much of each chunk its packets hold, whatever way the chunks are cut', () => {
  const payloads = [1, 100, 255, 256, 257, 3_000, 65_536].map((length, index) => new Uint8Array(length).fill(index + 1))
  const record = clear(
    encodeBlock(
      [encodeControl({ type: 'ping', nonce: 7 })],
      payloads.map((payload) => packet(1, payload)),
    ),
    ...payloads,
  )
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 30 }), (cuts) => {
      const { reader: reads, read } = reader()
      const held = new Map<ArrayBufferLike, number>()
      for (let at = 0, turn = 0; at < record.length; turn += 1) {
        const chunk = record.slice(at, at + cuts[turn % cuts.length]!)
        held.set(chunk.buffer, reads.receive(chunk))
        at += chunk.length
      }
      for (const { pieces } of read.packets) {
        for (const piece of pieces) if (held.has(piece.buffer)) held.set(piece.buffer, held.get(piece.buffer)! - piece.length)
      }
      expect(new Set(held.values())).toEqual(new Set([0]))
      // Not toEqual: it looks at 70 000 elements one by one, a hundred times.
      expect(equalBytes(concat(read.packets.flatMap(({ pieces }) => pieces)), concat(payloads))).toBe(true)
    }),
  )
})

test('a reader of lent chunks gives every packet whole and in one piece, though each chunk is overwritten by the next', () => {
  const payloads = [1, 100, 4_095, 4_096, 4_097, 30_000, 65_536, 65_536, 7].map((length, index) => new Uint8Array(length).fill(index + 1))
  const packets = payloads.map((payload) => packet(1, payload))
  const half = 5
  const stream = concat([
    clear(encodeBlock([], packets.slice(0, half)), ...payloads.slice(0, half)),
    clear(encodeBlock([encodeControl({ type: 'ping', nonce: 7 })], packets.slice(half)), ...payloads.slice(half)),
  ])
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 30 }), (cuts) => {
      const { reader: reads, read } = reader(undefined, true)
      const memory = new Uint8Array(90_000)
      const found: Uint8Array[] = []
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const length = Math.min(cuts[turn % cuts.length]!, stream.length - at)
        memory.set(stream.subarray(at, at + length))
        reads.receive(memory.subarray(0, length))
        for (const { pieces } of read.packets.splice(0)) {
          expect(pieces.length).toBe(1)
          found.push(pieces[0]!.slice())
        }
        memory.fill(0xee, 0, length)
        at += length
      }
      expect(found.map((payload) => payload.length)).toEqual(payloads.map((payload) => payload.length))
      expect(equalBytes(concat(found), concat(payloads))).toBe(true)
    }),
  )
})

describe('golden hex', () => {
  const ping = encodeControl({ type: 'ping', nonce: 7 })
  const packets = [
    packet(1, unhex('a1a2a3'), { kind: 1, epoch: 0x0203, counter: 0x0405 }),
    packet(0x01020304, unhex('b1'), { form: 1, kind: 2, epoch: 65_535, counter: Number.MAX_SAFE_INTEGER }),
  ]
  const block =
    '03' + // count
    '00000000000000050000000000000000000000000' /* control: circuit 0, length 5 */
      .slice(0, 40) +
    '00000001000000030001020300000000' +
    '00000405' +
    '01020304000000010102ffff001fffff' +
    'ffffffff' +
    '8a01020807' // Control{ping{nonce 7}}

  test('of a block', () => {
    expect(hex(encodeBlock([ping], packets))).toBe(
      block.replace('8a01020807', hex(ping)).replace(/^03.{40}/, `03${controlHeader(ping.length)}`),
    )
    expect(hex(ping)).toBe('8a01020807')
  })

  test('of a sealed record: key 42×32, first and second record, the same block', () => {
    const cipher = new RecordCipher(crypto, key)
    const sealed = [cipher.seal(encodeBlock([ping], [])), cipher.seal(encodeBlock([ping], []))]
    expect(sealed.map(hex)).toMatchInlineSnapshot(`
      [
        "002a5866e42b1db433cde9a15434ff2fa8b8bea7a4d9aa1fa51ef7cab75d0c6dfbccbeb91dc67daa93add00f",
        "002a8c88a01e035a59aeac4b17f141df2ba1a85ce99d06a9bdae4bd7856344578462bfa4937023e1b5d08d75",
      ]
    `)
  })

  test('is read back', () => {
    const { reader: records, read } = reader()
    records.receive(clear(unhex(block), unhex('a1a2a3'), unhex('b1')))
    expect(read.controls.map(hex)).toEqual(['8a01020807'])
    expect(read.packets.map(({ circuit, header, pieces }) => ({ circuit, header, bytes: hex(concat(pieces)) }))).toEqual([
      { circuit: 1, header: { form: 0, kind: 1, epoch: 0x0203, counter: 0x0405 }, bytes: 'a1a2a3' },
      { circuit: 0x01020304, header: { form: 1, kind: 2, epoch: 65_535, counter: Number.MAX_SAFE_INTEGER }, bytes: 'b1' },
    ])
  })
})

function controlHeader(length: number): string {
  return `00000000${length.toString(16).padStart(8, '0')}${'00'.repeat(12)}`
}

describe('a block that lies is bad_record', () => {
  const header = (circuit: number, length: number, counterHigh = 0): string =>
    `${circuit.toString(16).padStart(8, '0')}${length.toString(16).padStart(8, '0')}00000000${counterHigh.toString(16).padStart(8, '0')}00000000`
  test.each([
    ['no entries', '00'],
    ['more entries than headers', `02${header(1, 1)}`],
    ['65 entries', `41${header(1, 1).repeat(65)}`],
    ['a control body that is not there', `01${header(0, 5)}00`],
    ['bytes after the bodies', `01${header(0, 1)}0000`],
    ['an empty packet', `01${header(1, 0)}`],
    ['a packet over 64 KiB', `01${header(1, 65_537)}`],
    ['a packet of 4 GiB', `01${header(1, 0xffffffff)}`],
    ['a record over 256 KiB', `05${header(1, 65_536).repeat(5)}`],
    ['a counter over 2^53', `01${header(1, 1, 0x200000)}`],
  ])('%s', (_why, block) => {
    const { reader: records } = reader()
    expect(() => records.receive(clear(unhex(block), new Uint8Array(10)))).toThrowError(expect.objectContaining({ code: 'bad_record' }))
  })

  test.each([
    ['no block', '0000'],
    ['a block over 17 681 bytes', '4512'],
  ])('%s', (_why, length) => {
    const { reader: records } = reader()
    expect(() => records.receive(unhex(length))).toThrowError(expect.objectContaining({ code: 'bad_record' }))
  })
})

describe('chunks cut anywhere', () => {
  test('give the same packets and controls, in order', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.array(fc.record({ circuit: fc.integer({ min: 0, max: 5 }), bytes: fc.integer({ min: 1, max: 3_000 }) }), {
            minLength: 1,
            maxLength: 12,
          }),
          {
            minLength: 1,
            maxLength: 5,
          },
        ),
        fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 5_000 }))),
        fc.integer(),
        (records, cuts, seed) => {
          const random = seededRandom(seed)
          const send = new RecordCipher(simulatorCrypto(random), key)
          const { reader: incoming, read } = reader(new RecordCipher(simulatorCrypto(random), key))
          const sent: { controls: string[]; packets: string[] } = { controls: [], packets: [] }
          const wire: Uint8Array[] = []
          let counter = 0
          for (const entries of records) {
            const controls: Uint8Array[] = []
            const packets: OutgoingPacket[] = []
            for (const { circuit, bytes } of entries) {
              const payload = Uint8Array.from({ length: circuit === 0 ? Math.min(bytes, 500) : bytes }, () => random() * 256)
              counter += 1
              if (circuit === 0) {
                controls.push(payload)
                sent.controls.push(hex(payload))
              } else {
                packets.push(packet(circuit, payload, { counter }))
                sent.packets.push(`${circuit} ${counter} ${hex(payload)}`)
              }
            }
            wire.push(send.seal(encodeBlock(controls, packets)), ...packets.flatMap(({ pieces }) => pieces))
          }
          let rest: Uint8Array = concat(wire)
          for (const cut of cuts) {
            if (rest.length === 0) break
            incoming.receive(rest.subarray(0, cut))
            rest = rest.subarray(cut)
          }
          expect(read.controls.map(hex)).toEqual(sent.controls)
          expect(read.packets.map(({ circuit, header, pieces }) => `${circuit} ${header.counter} ${hex(concat(pieces))}`)).toEqual(
            sent.packets,
          )
        },
      ),
      { numRuns: 150 },
    )
  })

  test('big slices are handed on, not copied', () => {
    const payload = new Uint8Array(60_000).fill(1)
    const record = clear(encodeBlock([], [packet(1, payload)]), payload)
    const chunks = [record.subarray(0, 20_000), record.subarray(20_000, 50_000), record.subarray(50_000)]
    const { reader: records, read } = reader()
    for (const chunk of chunks) records.receive(chunk)
    expect(read.packets[0]!.pieces).toHaveLength(3)
    for (const piece of read.packets[0]!.pieces) expect(piece.buffer).toBe(record.buffer)
  })

  test('a packet that comes byte by byte is few arrays, and little is set aside for what has not come', () => {
    const payload = Uint8Array.from({ length: 65_536 }, (_, index) => index * 7)
    const record = clear(encodeBlock([], [packet(1, payload)]), payload)
    const { reader: records, read } = reader()
    for (let at = 0; at < record.length; at += 1) records.receive(record.slice(at, at + 1))
    const { pieces } = read.packets[0]!
    expect(hex(concat(pieces))).toBe(hex(payload))
    expect(pieces.length).toBeLessThanOrEqual(33)
  })
})

test('random bytes only end in ProtocolError', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 400 }), { maxLength: 20 }), fc.boolean(), (chunks, sealed) => {
      const { reader: records } = reader(sealed ? new RecordCipher(crypto, key) : undefined)
      try {
        for (const chunk of chunks) records.receive(chunk)
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError)
      }
    }),
    { numRuns: 500 },
  )
})

describe('the record cipher', () => {
  test('rekeys after 65 536 records at both ends, and the new key is another one', () => {
    const cheap = simulatorCrypto(seededRandom(5))
    const send = new RecordCipher(cheap, key)
    const receive = new RecordCipher(cheap, key)
    const block = encodeBlock([encodeControl({ type: 'ping', nonce: 1 })], [])
    const first = send.seal(block)
    receive.open(first.subarray(2))
    for (let index = 1; index < recordsPerKey; index += 1) {
      if (receive.open(send.seal(block).subarray(2)) === undefined) throw new Error(`record ${index} does not open`)
    }
    const rekeyed = send.seal(block)
    expect(hex(rekeyed)).not.toBe(hex(first))
    expect(hex(receive.open(rekeyed.subarray(2))!)).toBe(hex(block))
    expect(new RecordCipher(cheap, key).open(rekeyed.subarray(2))).toBeUndefined()
  })

  test('a record that is repeated, swapped or left out does not open', () => {
    const send = new RecordCipher(crypto, key)
    const [one, two] = [send.seal(unhex('01')).subarray(2), send.seal(unhex('02')).subarray(2)]
    const replayed = new RecordCipher(crypto, key)
    replayed.open(one)
    expect(replayed.open(one)).toBeUndefined()
    expect(new RecordCipher(crypto, key).open(two)).toBeUndefined()
  })
})

test('an empty chunk is nothing', () => {
  const { reader: records, read } = reader()
  records.receive(emptyBytes)
  expect(totalBytes(read.controls)).toBe(0)
})
