// The keystream: bytes that follow from (seed, direction, offset) alone, so that any received byte can be checked and nothing is stored.
// A 32-bit word at word offset w is mix(key + w·golden), the finaliser of MurmurHash3: about 1 GB/s in plain JavaScript, no state, any
// range on its own. It is no cipher and need not be: it must only make every position differ from every other.

/** One block is generated at a time; 64 KiB stays in the first caches. */
export const keystreamBlockBytes = 65_536

/** Odd and near 2³²/φ, so that neighbouring words start far apart. */
const golden = 0x9e3779b1

/** Mixes a 32-bit number (MurmurHash3's finaliser). */
export function mix32(value: number): number {
  let h = value | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** The key of one direction of one flow. */
export function keystreamKey(seed: number, direction: number): number {
  const low = mix32(seed)
  const high = mix32(Math.floor(seed / 0x1_0000_0000) ^ 0x5bd1e995)
  return mix32(mix32(low ^ Math.imul(high, golden)) + Math.imul(direction + 1, golden))
}

/** Writes the bytes at `offset … offset + target.length` into `target`. Offsets are exact up to 2⁵³. */
export function fillKeystream(key: number, offset: number, target: Uint8Array): void {
  const length = target.length
  // Blocks of 2³⁴ bytes get a key of their own, so that the word counter may wrap.
  let position = 0
  while (position < length) {
    const at = offset + position
    const word = Math.floor(at / 4)
    const high = Math.floor(word / 0x1_0000_0000)
    const blockKey = high === 0 ? key : mix32(key ^ Math.imul(high, 0x27d4eb2f))
    const skip = at - word * 4
    const value = mix32((blockKey + Math.imul(word | 0, golden)) | 0)
    if (skip !== 0 || length - position < 4) {
      for (let i = skip; i < 4 && position < length; i++) target[position++] = (value >>> (8 * i)) & 0xff
      continue
    }
    position = fillWords(blockKey, word >>> 0, target, position)
  }
}

/** Whole words, up to the end of the target or of the 32-bit counter. Returns the next position. */
function fillWords(key: number, firstWord: number, target: Uint8Array, from: number): number {
  const words = Math.min((target.length - from) >>> 2, 0x1_0000_0000 - firstWord)
  let position = from
  let counter = (key + Math.imul(firstWord, golden)) | 0
  for (let i = 0; i < words; i++) {
    let h = counter
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    h ^= h >>> 16
    target[position] = h & 0xff
    target[position + 1] = (h >>> 8) & 0xff
    target[position + 2] = (h >>> 16) & 0xff
    target[position + 3] = h >>> 24
    position += 4
    counter = (counter + golden) | 0
  }
  return position
}

/** What is between the headers of a message: the keystream as it is, or each of its bytes as one of sixteen letters. */
export type Content = 'noise' | 'text'

/** Writes the content at `offset … offset + target.length`. */
export function fillContent(content: Content, key: number, offset: number, target: Uint8Array): void {
  fillKeystream(key, offset, target)
  if (content === 'text') for (let i = 0; i < target.length; i++) target[i] = 0x61 + (target[i]! & 0x0f)
}

/** The first index at which `bytes` differs from the content at `offset`, or -1. Uses `scratch` (≥ 4 bytes) and stores nothing. */
export function findMismatch(key: number, offset: number, bytes: Uint8Array, scratch: Uint8Array, content: Content = 'noise'): number {
  for (let done = 0; done < bytes.length; done += scratch.length) {
    const length = Math.min(scratch.length, bytes.length - done)
    const expected = length === scratch.length ? scratch : scratch.subarray(0, length)
    fillContent(content, key, offset + done, expected)
    for (let i = 0; i < length; i++) if (expected[i] !== bytes[done + i]) return done + i
  }
  return -1
}
