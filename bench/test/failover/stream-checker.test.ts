// The checker of the scorecard: what it says of a stream must be exact, or no figure of it means anything.
import { describe, expect, it } from 'vitest'
import { patternAt, positionOf } from '../../failover/pattern.ts'
import { StreamChecker } from '../../failover/stream-checker.ts'

const size = 100_000
const sound = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 }
const whole = patternAt(0, size)

/** Pieces of the stream, by their place, in the order they arrive. */
function pieces(...places: readonly (readonly [from: number, to: number])[]): Buffer {
  return Buffer.concat(places.map(([from, to]) => whole.subarray(from, to)))
}

function flipped(...places: readonly number[]): Buffer {
  const copy = Buffer.from(whole)
  for (const place of places) copy[place] = (copy[place] ?? 0) ^ 0x10
  return copy
}

describe('the pattern', () => {
  it('is the same from wherever it is made', () => {
    for (const from of [0, 1, 7, 8, 4_099]) expect(patternAt(from, 50)).toEqual(whole.subarray(from, from + 50))
  })

  it('tells the position of every whole word, beyond 4 GiB too, and of nothing else', () => {
    for (const position of [0, 8, 80_000, 5 * 2 ** 30]) {
      const bytes = patternAt(position, 16)
      expect(positionOf(bytes, 0)).toBe(position)
      expect(positionOf(bytes, 8)).toBe(position + 8)
      for (let offset = 1; offset < 8; offset += 1) expect(positionOf(bytes, offset)).toBeUndefined()
    }
  })
})

describe('what happened to a stream', () => {
  const cases: readonly [string, Buffer, typeof sound][] = [
    ['nothing', whole, sound],
    ['ended early', whole.subarray(0, 99_990), { ...sound, lost: 10 }],
    ['a hole of one byte', pieces([0, 5_003], [5_004, size]), { ...sound, lost: 1 }],
    ['a hole that begins and ends inside words', pieces([0, 5_003], [41_234, size]), { ...sound, lost: 36_231 }],
    ['two holes', pieces([0, 11], [100, 2_000], [2_009, size]), { ...sound, lost: 98 }],
    ['a piece came twice', pieces([0, 5_003], [3_001, size]), { ...sound, duplicated: 2_002 }],
    ['the beginning came again at the end', pieces([0, size], [0, 500]), { ...sound, duplicated: 500 }],
    ['two pieces changed places', pieces([0, 1_000], [2_003, 3_001], [1_000, 2_003], [3_001, size]), { ...sound, reordered: 1_003 }],
    ['a piece came late and again', pieces([0, 100], [200, 300], [100, 200], [150, size]), { ...sound, reordered: 100, duplicated: 150 }],
    ['one bit flipped', flipped(5_003), { ...sound, corrupted: 1 }],
    ['the first and the last byte flipped', flipped(0, size - 1), { ...sound, corrupted: 2, lost: 1 }],
    ['three bits in neighbouring words', flipped(5_000, 5_008, 5_016), { ...sound, corrupted: 3 }],
    [
      'foreign bytes in between',
      Buffer.concat([whole.subarray(0, 777), Buffer.alloc(99, 1), whole.subarray(777)]),
      { ...sound, corrupted: 99 },
    ],
    [
      'foreign bytes for a piece of the same length',
      Buffer.concat([whole.subarray(0, 776), whole.subarray(776, 872).map((byte) => ~byte), whole.subarray(872)]),
      { ...sound, corrupted: 96 },
    ],
  ]

  for (const step of [size, 1_000, 13, 1]) {
    it.each(cases)(`is counted exactly, in chunks of ${step}: %s`, (_, arrived, expected) => {
      const checker = new StreamChecker()
      for (let from = 0; from < arrived.length; from += step) checker.push(Buffer.from(arrived.subarray(from, from + step)))
      expect(checker.finish(size)).toEqual(expected)
    })
  }
})
