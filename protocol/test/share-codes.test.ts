/** The arithmetic under the shares: the field, the erasure code, the threshold sharing. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hex, unhex } from '../src/index.ts'
import { addScaled, inverse, multiply } from '../src/share/gf256.ts'
import { fillParity, parityFactor, recoverData } from '../src/share/reed-solomon.ts'
import { combineSecret, shareSecret } from '../src/share/threshold.ts'

/** Multiplication as a child would do it: bit by bit, reduced by 0x11b. */
function slowMultiply(left: number, right: number): number {
  let product = 0
  let shifted = left
  for (let bits = right; bits > 0; bits >>>= 1) {
    if (bits & 1) product ^= shifted
    shifted <<= 1
    if (shifted > 0xff) shifted ^= 0x11b
  }
  return product
}

describe('the field', () => {
  test('multiplies as long multiplication does, and every byte but 0 has its inverse', () => {
    const wrong: number[][] = []
    for (let left = 0; left < 256; left += 1) {
      for (let right = 0; right < 256; right += 1) if (multiply(left, right) !== slowMultiply(left, right)) wrong.push([left, right])
      if (left > 0 && multiply(left, inverse(left)) !== 1) wrong.push([left])
    }
    expect(wrong).toEqual([])
    // FIPS 197 §4.2 and §4.2.1
    expect(multiply(0x57, 0x83)).toBe(0xc1)
    expect(multiply(0x57, 0x13)).toBe(0xfe)
  })

  test('adds every multiple of a run of bytes, by wide tables and, when there are enough of those, by narrow ones', () => {
    const source = Uint32Array.from({ length: 64 }, (_, index) => (index * 0x9e37_79b1) >>> 0)
    const bytes = new Uint8Array(source.buffer)
    for (let factor = 0; factor < 256; factor += 1) {
      const target = new Uint32Array(64).fill(0x0102_0304)
      const before = new Uint8Array(target.slice().buffer)
      addScaled(target, source, factor)
      const after = new Uint8Array(target.buffer)
      expect([...after]).toEqual([...bytes].map((value, at) => before[at]! ^ slowMultiply(value, factor)))
    }
  })
})

const anyCode = fc.integer({ min: 1, max: 8 }).chain((k) =>
  fc.record({
    k: fc.constant(k),
    parity: fc.integer({ min: 0, max: 8 }),
    words: fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: k, maxLength: k * 5 }),
    seed: fc.integer(),
  }),
)

describe('the erasure code', () => {
  test('the first parity shard is the plain sum of the data', () => {
    for (let k = 1; k <= 16; k += 1) {
      for (let column = 0; column < k; column += 1) expect(parityFactor(k, 0, column)).toBe(1)
    }
  })

  test('any k shards in any order give the data', () => {
    fc.assert(
      fc.property(anyCode, ({ k, parity, words, seed }) => {
        const length = Math.floor(words.length / k)
        const data = Array.from({ length: k }, (_, index) => Uint32Array.from(words.slice(index * length, (index + 1) * length)))
        const shards = [...data]
        for (let row = 0; row < parity; row += 1) {
          const shard = new Uint32Array(length)
          fillParity(shard, row, data)
          shards.push(shard)
        }
        const order = shuffled(shards.length, seed)
        const before = shards.map((shard) => [...shard])
        const recovered = recoverData(k, new Map(order.slice(0, k).map((index) => [index, shards[index]!])))
        expect(recovered).toEqual(data)
        expect(shards.map((shard) => [...shard])).toEqual(before)
      }),
      { numRuns: 300 },
    )
  })

  test('every choice of k shards of every code of up to 8 shards can be inverted', () => {
    for (let n = 2; n <= 8; n += 1) {
      for (let k = 1; k <= n; k += 1) {
        const data = Array.from({ length: k }, (_, index) => Uint32Array.of(0x0101_0101 * (index + 1)))
        const shards = [...data]
        for (let row = 0; row < n - k; row += 1) {
          const shard = new Uint32Array(1)
          fillParity(shard, row, data)
          shards.push(shard)
        }
        for (let choice = 0; choice < 2 ** n; choice += 1) {
          const chosen = shards.flatMap((shard, index): [number, Uint32Array][] => (choice & (1 << index) ? [[index, shard]] : []))
          if (chosen.length === k) expect(recoverData(k, new Map(chosen))).toEqual(data)
        }
      }
    }
  })
})

describe('a shared secret', () => {
  // Shares that the library shamir-secret-sharing 0.0.4 made (audited, same field): x is the last byte of each.
  test.each([
    ['2 of 3', '0726456483a2c1e0', ['a192cdaf53bbbf9cbe', '1e11a9f32d4f0bfe9e', 'f9c2e8e010f987ea83'], 2],
    [
      '3 of 5',
      '0726456483a2c1e0',
      ['f2426754c9e4036a1f', '359bc0759031ccc6c1', 'f079bf7a18528cbaa8', '74e00cc56dec7f4a3f', 'fca20aa9c4862ff5ac'],
      3,
    ],
    ['4 of 4', '0726456483a2c1e0', ['945dcc02339d73307d', '6429b8a36ce00d5b2e', '15de2d1c8bbbcd91b4', 'dc5065c819b9dbcc0d'], 4],
  ])('comes out of the shares of another implementation: %s', (_name, secret, shares, k) => {
    const points = shares.map((share): [number, Uint8Array] => [unhex(share).at(-1)! - 1, unhex(share).subarray(0, -1)])
    for (let from = 0; from + k <= points.length; from += 1) {
      expect(hex(combineSecret(new Map(points.slice(from, from + k))))).toBe(secret)
    }
  })

  test('is given by any k of n, in any order', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 16 }),
        fc.nat(15),
        fc.uint8Array({ minLength: 1, maxLength: 32 }),
        fc.integer(),
        (k, more, secret, seed) => {
          const n = Math.min(16, k + more)
          const random = Uint8Array.from({ length: (k - 1) * secret.length }, (_, index) => (index * 73 + seed) & 0xff)
          const shares = shareSecret(secret, k, n, random)
          const order = shuffled(n, seed).slice(0, k)
          expect(combineSecret(new Map(order.map((index) => [index, shares[index]!])))).toEqual(secret)
        },
      ),
    )
  })

  test('is not touched by k − 1 shares: whatever the secret, every view of them comes up exactly once over all random factors', () => {
    const views = (secret: number, k: number, seen: (shares: Uint8Array[]) => number): number => {
      const found = new Set<number>()
      for (let drawn = 0; drawn < 256 ** (k - 1); drawn += 1) {
        found.add(seen(shareSecret(Uint8Array.of(secret), k, 4, Uint8Array.of(drawn & 0xff, drawn >>> 8).subarray(0, k - 1))))
      }
      return found.size
    }
    for (const secret of [0, 1, 0x53, 0xff]) {
      for (let index = 0; index < 4; index += 1) expect(views(secret, 2, (shares) => shares[index]![0]!)).toBe(256)
      expect(views(secret, 3, (shares) => shares[1]![0]! * 256 + shares[3]![0]!)).toBe(65_536)
    }
  })
})

function shuffled(length: number, seed: number): number[] {
  const order = Array.from({ length }, (_, index) => index)
  let state = seed >>> 0
  for (let index = length - 1; index > 0; index -= 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const other = Math.floor((state / 2 ** 32) * (index + 1))
    const kept = order[index]!
    order[index] = order[other]!
    order[other] = kept
  }
  return order
}
