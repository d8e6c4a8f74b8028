/**
 * Arithmetic in GF(2⁸) with the polynomial x⁸ + x⁴ + x³ + x + 1 (0x11b, that of AES) and generator 3. Addition is XOR.
 * One field for the erasure code and for the shared key, so that there is one table to trust.
 */

/** Wide tables kept at most: 128 KiB each. More factors than these (only codes with many parity shards) use a table of 256 bytes each time. */
const wideTablesMax = 64

const exponents = new Uint8Array(510)
const logarithms = new Uint8Array(256)
let power = 1
for (let index = 0; index < 255; index += 1) {
  exponents[index] = power
  exponents[index + 255] = power
  logarithms[power] = index
  const doubled = power << 1
  power ^= doubled > 0xff ? doubled ^ 0x11b : doubled
}

/** The product of two bytes. */
export function multiply(left: number, right: number): number {
  return left === 0 || right === 0 ? 0 : exponents[logarithms[left]! + logarithms[right]!]!
}

/** The byte that multiplied with `value` gives 1; 0 has none and gives 0. */
export function inverse(value: number): number {
  return value === 0 ? 0 : exponents[255 - logarithms[value]!]!
}

/** Constants, computed when first needed: products of two bytes at once by one factor. Two at once is twice as fast as byte by byte. */
const wideTables = new Map<number, Uint16Array>()

/**
 * target ^= factor × source, byte by byte, over words (whose order of bytes does not matter). Both have the same length.
 * Measured on a 2-core machine, Node 20: 3.6 GB/s for factor 1, 1.7 GB/s for others.
 */
export function addScaled(target: Uint32Array, source: Uint32Array, factor: number): void {
  const length = target.length
  if (factor === 0) return
  if (factor === 1) {
    for (let index = 0; index < length; index += 1) target[index]! ^= source[index]!
    return
  }
  const wide = wideTable(factor)
  if (wide === undefined) addScaledBytes(target, source, factor)
  else {
    for (let index = 0; index < length; index += 1) {
      const word = source[index]!
      target[index]! ^= wide[word & 0xffff]! | (wide[word >>> 16]! << 16)
    }
  }
}

function addScaledBytes(target: Uint32Array, source: Uint32Array, factor: number): void {
  const products = productsOf(factor)
  const from = new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
  const to = new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
  for (let index = 0; index < from.length; index += 1) to[index]! ^= products[from[index]!]!
}

function wideTable(factor: number): Uint16Array | undefined {
  const known = wideTables.get(factor)
  if (known !== undefined || wideTables.size >= wideTablesMax) return known
  const products = productsOf(factor)
  const wide = new Uint16Array(65_536)
  for (let pair = 0; pair < 65_536; pair += 1) wide[pair] = products[pair & 0xff]! | (products[pair >>> 8]! << 8)
  wideTables.set(factor, wide)
  return wide
}

function productsOf(factor: number): Uint8Array {
  const products = new Uint8Array(256)
  for (let value = 0; value < 256; value += 1) products[value] = multiply(value, factor)
  return products
}
