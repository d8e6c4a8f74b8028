import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ByteReader,
  ByteWriter,
  base64url,
  compareBytes,
  concat,
  encodeVarint,
  equalBytes,
  hex,
  ProtocolError,
  textOf,
  unbase64url,
  unhex,
  utf8,
  varintBytes,
  varintMax,
} from '../src/index.ts'
import { Slab } from '../src/slab.ts'

describe('varint', () => {
  // The first four are the examples of RFC 9000 appendix A.1; the rest are the edges of each length.
  test.each([
    ['c2197c5eff14e88c', 151_288_809_941_952_652n],
    ['9d7f3e7d', 494_878_333n],
    ['7bbd', 15_293n],
    ['25', 37n],
    ['00', 0n],
    ['3f', 63n],
    ['4040', 64n],
    ['7fff', 16_383n],
    ['80004000', 16_384n],
    ['bfffffff', 1_073_741_823n],
    ['c000000040000000', 1_073_741_824n],
    ['c01fffffffffffff', 9_007_199_254_740_991n],
  ])('%s is %s', (bytes, value) => {
    const reader = new ByteReader(unhex(bytes))
    if (value > BigInt(varintMax)) {
      expect(() => reader.varint()).toThrow(ProtocolError)
      return
    }
    expect(reader.varint()).toBe(Number(value))
    expect(hex(encodeVarint(Number(value)))).toBe(bytes)
  })

  test('an encoding longer than needed is read as its value', () => {
    expect(new ByteReader(unhex('4025')).varint()).toBe(37)
  })

  test('every value comes back in the announced length', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const bytes = encodeVarint(value)
        expect(bytes.length).toBe(varintBytes(value))
        expect(new ByteReader(bytes).varint()).toBe(value)
      }),
    )
  })

  test.each([-1, 0.5, Number.NaN, varintMax + 1])('%s is refused as our own fault', (value) => {
    expect(() => encodeVarint(value)).toThrow('expected a whole number')
  })
})

describe('bytes', () => {
  test('fields written come back, and a cut copy is malformed at every length', () => {
    const written = new ByteWriter(1)
      .u8(200)
      .u16(65_000)
      .u32(4_000_000_000)
      .u64(varintMax)
      .varint(77_777)
      .text('grüße', 16)
      .bytes(unhex('0102'))
      .finish()
    const read = (bytes: Uint8Array) => {
      const reader = new ByteReader(bytes)
      const values = [reader.u8(), reader.u16(), reader.u32(), reader.u64(), reader.varint(), reader.text(16), hex(reader.take(2))]
      reader.end()
      return values
    }
    expect(read(written)).toEqual([200, 65_000, 4_000_000_000, varintMax, 77_777, 'grüße', '0102'])
    for (let length = 0; length < written.length; length += 1) expect(() => read(written.subarray(0, length))).toThrow(ProtocolError)
    expect(() => read(concat([written, unhex('00')]))).toThrow('expected the end')
  })

  test('a 64-bit number over 2^53 is malformed', () => {
    expect(() => new ByteReader(unhex('0020000000000000')).u64()).toThrow(ProtocolError)
  })

  test('hex, base64url and text come back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(unhex(hex(bytes))).toEqual(bytes)
        expect(base64url(bytes)).toBe(Buffer.from(bytes).toString('base64url'))
        expect(unbase64url(base64url(bytes))).toEqual(bytes)
      }),
    )
    expect(textOf(utf8('\ufeffab'))).toBe('\ufeffab')
  })

  test.each(['a', 'ab=', 'a+b/', 'AB', 'AAB', 'A\u00e9AA'])('base64url %j has no canonical meaning and is malformed', (text) => {
    expect(() => unbase64url(text)).toThrow(ProtocolError)
  })

  test.each(['0', 'zz', '0x'])('hex %j is malformed', (text) => {
    expect(() => unhex(text)).toThrow(ProtocolError)
  })

  test('bytes that are not UTF-8 are malformed', () => {
    expect(() => textOf(unhex('c328'))).toThrow(ProtocolError)
  })

  test('order is by bytes, then by length', () => {
    expect(compareBytes(unhex('01'), unhex('02'))).toBeLessThan(0)
    expect(compareBytes(unhex('0102'), unhex('01'))).toBeGreaterThan(0)
    expect(compareBytes(unhex('01'), unhex('01'))).toBe(0)
    expect(equalBytes(unhex('01'), unhex('0100'))).toBe(false)
  })
})

describe('slab', () => {
  test('cuts do not touch each other, in one block and the next, nor does one that is larger than a cut may be', () => {
    const slab = new Slab()
    const lengths = [0, 1, 512, 100, 513, 300, 512, 512, 512, 512, 512, 512, 512, 512, 10_000, 64]
    const cuts = lengths.map((length, index) => slab.take(length).fill(index))
    expect(cuts.map((cut) => cut.length)).toEqual(lengths)
    for (const [index, cut] of cuts.entries()) expect(cut.every((byte) => byte === index)).toBe(true)
  })
})
