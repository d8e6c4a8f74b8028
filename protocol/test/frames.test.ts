import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type AckRange,
  ackRangesMax,
  closeMessageBytesMax,
  concat,
  decodeFrames,
  encodeFrame,
  encodeFrames,
  FRAME_TYPE,
  type Frame,
  frameBytes,
  hex,
  ProtocolError,
  relaysMax,
  streamHeaderBytesMax,
  unhex,
  varintMax,
} from '../src/index.ts'
import { anyFrame } from './any-frame.ts'
import { goldenFrames } from './samples.ts'

const golden = (text: string) => unhex(text.replaceAll(' ', ''))

describe('golden bytes', () => {
  test('exist for every frame type', () => {
    expect(new Set(goldenFrames.map(({ frame }) => frame.type))).toEqual(new Set(Object.keys(FRAME_TYPE)))
  })

  test('no number means two types', () => {
    const numbers = Object.values(FRAME_TYPE)
    expect(new Set(numbers).size).toBe(numbers.length)
  })

  test.each(goldenFrames)('$frame.type: $why', ({ frame, bytes }) => {
    expect(hex(concat(encodeFrame(frame)))).toBe(hex(golden(bytes)))
    expect(decodeFrames(golden(bytes))).toEqual([frame])
    expect(frameBytes(frame)).toBe(golden(bytes).length)
  })

  test.each(goldenFrames)('$frame.type ($why) cut anywhere is malformed', ({ bytes }) => {
    const whole = golden(bytes)
    for (let length = 1; length < whole.length; length += 1) expectProtocolError(() => decodeFrames(whole.subarray(0, length)), 'malformed')
  })
})

describe('unknown frames', () => {
  test('even ones are skipped, with the frames around them kept', () => {
    expect(decodeFrames(golden('11 00  00 03 aabbcc  7e00 00  8000abcc 01 ff  13 00'))).toEqual([{ type: 'confirm' }, { type: 'yield' }])
  })

  test.each(['2b 00', '3f 01 aa', '4041 00', '8000abcd 00'])('odd %s is unsupported', (bytes) => {
    expectProtocolError(() => decodeFrames(golden(bytes)), 'unsupported')
  })

  test('an unknown odd frame that is cut is malformed, since nothing says where it ends', () => {
    expectProtocolError(() => decodeFrames(golden('2b 05 00')), 'malformed')
  })
})

describe('wrong bodies', () => {
  const rows: [string, string][] = [
    ['a body longer than the packet', '01 bfffffff 00'],
    ['a body of 2^61 bytes', '01 ffffffffffffffff'],
    ['bytes after the fields', '07 03 03 04 05'],
    ['bytes in an empty body', '11 01 00'],
    ['a stream that ends over 2^53', '01 0a 00 c01fffffffffffff 01'],
    ['an ack range that touches the cumulative', '21 05 05 01 00 01 00'],
    ['an empty ack range', '21 05 05 01 01 00 00'],
    ['an ack range over 2^53', '21 0c 05 01 01 c01fffffffffffff 00'],
    ['more ranges than allowed', `21 44 05 21 ${'0101'.repeat(33)} 00`],
    ['a claimed million ranges', '21 06 05 800f4240 00'],
    ['a claimed million relays', '28 04 800f4240'],
    ['an echo of 3 bytes', '27 12 027233 0102030405060708 03 010203 00 00 00'],
    ['a relay id of 64 bytes', `1d 4041 4040 ${'61'.repeat(64)}`],
    ['text that is not UTF-8', '1d 03 02 c328'],
    ['a reachable that is neither yes nor no', '28 0a 01 027231 00 00 00 00 02'],
    ['a loss over one', '28 0d 01 027231 00 00 800f4241 00 01'],
    ['a stream header over its limit', `03 4402 01 ${'00'.repeat(streamHeaderBytesMax + 1)}`],
  ]
  test.each(rows)('%s', (_why, bytes) => {
    expectProtocolError(() => decodeFrames(golden(bytes)), 'malformed')
  })
})

describe('our own faults', () => {
  const rows: [string, Frame, string][] = [
    ['a long stream header', { type: 'open', streamId: 1, header: new Uint8Array(streamHeaderBytesMax + 1) }, 'too_large'],
    ['too many ranges', { type: 'ack', cumulative: 0, ranges: rangesOf(ackRangesMax + 1), delayMs: 0 }, 'too_large'],
    ['ranges out of order', { type: 'ack', cumulative: 5, ranges: [[5, 6]], delayMs: 0 }, 'internal'],
    ['a negative offset', { type: 'fin', streamId: 1, finalOffset: -1 }, 'internal'],
    ['a long relay id', { type: 'pathBad', relayId: 'r'.repeat(64) }, 'too_large'],
    [
      'a short nonce',
      { type: 'hello', relayId: 'r', nonce: unhex('00'), echo: unhex(''), ack: { cumulative: 0, ranges: [] }, planEpoch: 0 },
      'internal',
    ],
    ['too many relays', { type: 'report', relays: Array.from({ length: relaysMax + 1 }, () => measurement) }, 'too_large'],
  ]
  test.each(rows)('%s', (_why, frame, code) => {
    expect(() => encodeFrame(frame)).toThrow(expect.objectContaining({ code }))
  })

  test('a long close message is cut between characters', () => {
    const [frame] = decodeFrames(concat(encodeFrame({ type: 'close', lastKept: 0, reason: 'x', message: 'aü'.repeat(600), counts: [] })))
    expect(frame).toMatchObject({ message: `${'aü'.repeat(341)}a` })
    expect(closeMessageBytesMax).toBe(1_024)
  })

  test('times that are none become 0, endless ones the greatest', () => {
    const [frame] = decodeFrames(concat(encodeFrame({ type: 'ack', cumulative: 0, ranges: [], delayMs: Number.NaN })))
    expect(frame).toMatchObject({ delayMs: 0 })
    const report: Frame = { type: 'report', relays: [{ ...measurement, rttMs: Number.POSITIVE_INFINITY, varMs: -1, loss: 2 }] }
    expect(decodeFrames(concat(encodeFrame(report)))).toEqual([
      { type: 'report', relays: [{ ...measurement, rttMs: varintMax / 1_000, varMs: 0, loss: 1 }] },
    ])
  })
})

describe('properties', () => {
  test('any frames come back, in the announced size', () => {
    fc.assert(
      fc.property(fc.array(anyFrame(), { maxLength: 12 }), (frames) => {
        const pieces = encodeFrames(frames)
        const bytes = concat(pieces)
        expect(bytes.length).toBe(frames.reduce((total, frame) => total + frameBytes(frame), 0))
        expect(decodeFrames(bytes)).toEqual(frames)
        expect(hex(bytes)).toBe(hex(concat(frames.flatMap((frame) => encodeFrame(frame)))))
      }),
      { numRuns: 500 },
    )
  })

  test('stream data is not copied: over 1 KiB in joined frames, always in a single one', () => {
    const data = new Uint8Array(4_096)
    expect(encodeFrame({ type: 'stream', streamId: 1, offset: 0, data: data.subarray(0, 10) })[1]!.buffer).toBe(data.buffer)
    const pieces = encodeFrames([{ type: 'confirm' }, { type: 'stream', streamId: 1, offset: 0, data }, { type: 'confirm' }])
    expect(pieces.some((piece) => piece === data)).toBe(true)
    const joined = concat(pieces)
    const frame = decodeFrames(joined)[1]!
    expect(frame.type === 'stream' && frame.data.buffer === joined.buffer).toBe(true)
  })

  test('random bytes end in frames or a protocol error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        decodesOrRefuses(bytes)
      }),
      { numRuns: 20_000 },
    )
  })

  test('random bodies of known types end in frames or a protocol error', () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(FRAME_TYPE)), fc.uint8Array({ maxLength: 63 }), (type, body) => {
        decodesOrRefuses(concat([new Uint8Array([type, body.length]), body]))
      }),
      { numRuns: 20_000 },
    )
  })

  test('mutated frames end in frames or a protocol error', () => {
    const mutation = fc.record({ at: fc.nat(), kind: fc.constantFrom('flip', 'set', 'cut', 'insert', 'double'), value: fc.nat(255) })
    fc.assert(
      fc.property(
        fc.array(anyFrame(), { minLength: 1, maxLength: 4 }),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        (frames, mutations) => {
          let bytes = concat(encodeFrames(frames))
          for (const { at, kind, value } of mutations) bytes = mutated(bytes, at % (bytes.length + 1), kind, value)
          decodesOrRefuses(bytes)
        },
      ),
      { numRuns: 10_000 },
    )
  })

  test('every single bit of every golden frame flipped ends in frames or a protocol error', () => {
    for (const { bytes } of goldenFrames) {
      for (let bit = 0; bit < golden(bytes).length * 8; bit += 1) {
        const flipped = golden(bytes)
        flipped[bit >> 3]! ^= 1 << (bit & 7)
        decodesOrRefuses(flipped)
      }
    }
  })

  test('a packet full of the smallest frames is decoded in order', () => {
    const packet = new Uint8Array(65_520)
    for (let at = 0; at < packet.length; at += 2) packet[at] = 0x11
    expect(decodeFrames(packet).length).toBe(32_760)
    expect(decodeFrames(new Uint8Array(65_520))).toEqual([])
  })
})

const measurement = { relayId: 'r1', rttMs: 1, varMs: 1, loss: 0, ageMs: 0, reachable: true }

function rangesOf(count: number): AckRange[] {
  return Array.from({ length: count }, (_, index): AckRange => [index * 2 + 1, index * 2 + 2])
}

function expectProtocolError(run: () => unknown, code: string): void {
  expect(run).toThrow(ProtocolError)
  expect(run).toThrow(expect.objectContaining({ code }))
}

/** What was decoded must hold no more than what was given, and encode again to something that decodes to the same. */
function decodesOrRefuses(bytes: Uint8Array): void {
  let frames: Frame[]
  try {
    frames = decodeFrames(bytes)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return
  }
  expect(frames.length).toBeLessThanOrEqual(bytes.length / 2)
  expect(decodeFrames(concat(encodeFrames(frames)))).toEqual(frames)
}

function mutated(bytes: Uint8Array, at: number, kind: string, value: number): Uint8Array {
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
  if (kind === 'cut') return before.slice()
  if (kind === 'insert') return concat([before, new Uint8Array([value]), after])
  if (kind === 'double') return concat([before, after, after])
  const copy = bytes.slice()
  if (at < copy.length) copy[at] = kind === 'flip' ? copy[at]! ^ (1 << (value & 7)) : value
  return copy
}
