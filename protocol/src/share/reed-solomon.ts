/**
 * A systematic Reed–Solomon erasure code: k data shards as they are, then parity shards; any k of them give the data back.
 *
 * The parity row i has the factors c(i, j) = (x₀ + yⱼ) ÷ (xᵢ + yⱼ) with xᵢ = k + i and yⱼ = j: a Cauchy matrix whose columns are scaled so that
 * the first parity shard is the plain XOR of the data. Every square part of a Cauchy matrix can be inverted, and scaling keeps that, so any k
 * rows of identity over parity can be inverted too (Blömer et al., "An XOR-based erasure-resilient coding scheme", 1995).
 */

import { addScaled, inverse, multiply } from './gf256.ts'

/** The factor of data shard `column` in parity shard `row` (0 is the first parity shard) of a code with `k` data shards. */
export function parityFactor(k: number, row: number, column: number): number {
  return multiply(k ^ column, inverse((k + row) ^ column))
}

/** Fills parity shard `row` (zeros when called) from the data shards. All have one length. k + row ≤ 255. */
export function fillParity(parity: Uint32Array, row: number, data: readonly Uint32Array[]): void {
  for (const [column, shard] of data.entries()) addScaled(parity, shard, parityFactor(data.length, row, column))
}

/**
 * The data shards from any k shards of one codeword, by their index (data first, then parity). Data shards that are there are returned as they are.
 * Shards beyond k are not looked at.
 */
export function recoverData(k: number, shards: ReadonlyMap<number, Uint32Array>): Uint32Array[] {
  const data: (Uint32Array | undefined)[] = []
  const missing: number[] = []
  for (let column = 0; column < k; column += 1) {
    data.push(shards.get(column))
    if (data[column] === undefined) missing.push(column)
  }
  // Each parity shard, less what the known data put into it, is a combination of the missing shards alone.
  const sums: Uint32Array[] = []
  const matrix: number[][] = []
  for (const [index, shard] of shards) {
    if (index < k || sums.length === missing.length) continue
    const row = index - k
    const sum = shard.slice()
    for (const [column, known] of data.entries()) if (known !== undefined) addScaled(sum, known, parityFactor(k, row, column))
    sums.push(sum)
    matrix.push(missing.map((column) => parityFactor(k, row, column)))
  }
  const inverted = invert(matrix)
  for (const [place, column] of missing.entries()) {
    const shard = new Uint32Array(sums[0]!.length)
    for (const [row, sum] of sums.entries()) addScaled(shard, sum, inverted[place]![row]!)
    data[column] = shard
  }
  return data as Uint32Array[]
}

/** Gauss–Jordan. The matrix is a square part of a scaled Cauchy matrix, so that a pivot is always found. */
function invert(matrix: readonly number[][]): number[][] {
  const size = matrix.length
  const left = matrix.map((row) => row.slice())
  const right = matrix.map((_, row) => Array.from({ length: size }, (__, column): number => (row === column ? 1 : 0)))
  for (let column = 0; column < size; column += 1) {
    const pivot = left.findIndex((row, index) => index >= column && row[column] !== 0)
    ;[left[column], left[pivot]] = [left[pivot]!, left[column]!]
    ;[right[column], right[pivot]] = [right[pivot]!, right[column]!]
    const factor = inverse(left[column]![column]!)
    left[column] = left[column]!.map((value) => multiply(value, factor))
    right[column] = right[column]!.map((value) => multiply(value, factor))
    for (let row = 0; row < size; row += 1) {
      const times = left[row]![column]!
      if (row === column || times === 0) continue
      left[row] = left[row]!.map((value, at) => value ^ multiply(left[column]![at]!, times))
      right[row] = right[row]!.map((value, at) => value ^ multiply(right[column]![at]!, times))
    }
  }
  return right
}
