/** Reads a stream of {@link patternAt} and counts, byte by byte, what a fault did to it. */
import { Covered } from './covered.ts'
import { patternAt, positionOf, wordBytes } from './pattern.ts'

/** What happened to the bytes of one stream. */
export interface Damage {
  /** Sent, never arrived. */
  readonly lost: number
  /** Arrived again. */
  readonly duplicated: number
  /** Arrived after a byte that comes later in the stream. */
  readonly reordered: number
  /** Arrived, but never sent like this. Pieces of the stream too short to hold one whole word count here too. */
  readonly corrupted: number
}

/** Bytes that wait for a word that tells their place: more than damage in one place is long, so that it is counted byte by byte. */
const unplacedMax = 4_096

export class StreamChecker {
  readonly #covered = new Covered()
  /** Where the next byte belongs if nothing is wrong. */
  #expected = 0
  #highest = 0
  #duplicated = 0
  #reordered = 0
  #corrupted = 0
  /** After something wrong: bytes whose place is not known yet, and how many before them are given up. */
  #astray: { readonly bytes: Buffer; readonly dropped: number } | undefined

  /** The end of the furthest byte that arrived. */
  get position(): number {
    return this.#highest
  }

  push(chunk: Buffer): void {
    let bytes = chunk
    let dropped = 0
    if (this.#astray === undefined) bytes = this.#follow(chunk)
    else {
      bytes = Buffer.concat([this.#astray.bytes, chunk])
      dropped = this.#astray.dropped
      this.#astray = undefined
    }
    while (bytes.length > 0) {
      const found = findWord(bytes)
      if (found === undefined) {
        const keep = Math.min(bytes.length, unplacedMax)
        dropped += bytes.length - keep
        this.#astray = { bytes: Buffer.from(bytes.subarray(bytes.length - keep)), dropped }
        return
      }
      this.#place(bytes.subarray(0, found.offset), dropped, found.position)
      dropped = 0
      bytes = this.#follow(bytes.subarray(found.offset))
    }
  }

  /** @param sent bytes that the stream had in all */
  finish(sent: number): Damage {
    const { bytes, dropped } = this.#astray ?? { bytes: Buffer.alloc(0), dropped: 0 }
    this.#astray = undefined
    this.#corrupted += dropped + bytes.length
    return {
      lost: Math.max(0, this.#covered.missingBelow(sent)),
      duplicated: this.#duplicated,
      reordered: this.#reordered,
      corrupted: this.#corrupted,
    }
  }

  /** Takes what goes on from where the stream was. @returns the rest */
  #follow(bytes: Buffer): Buffer {
    const right = agreeing(bytes, this.#expected)
    this.#take(right)
    return bytes.subarray(right)
  }

  /** Finds the place of bytes that stand before a word of `position`, themselves behind `dropped` bytes that were given up. */
  #place(bytes: Buffer, dropped: number, position: number): void {
    const inLine = this.#expected + dropped + bytes.length === position
    if (inLine) {
      // Damaged where they stand: the place is taken, and only the bytes that differ are wrong.
      const right = patternAt(position - bytes.length, bytes.length)
      this.#corrupted += dropped + bytes.reduce((wrong, byte, index) => wrong + (byte === right[index] ? 0 : 1), 0)
      this.#covered.add(this.#expected, position)
      this.#highest = Math.max(this.#highest, position)
      this.#expected = position
      return
    }
    let fitting = 0
    while (fitting < Math.min(bytes.length, position) && bytes[bytes.length - 1 - fitting] === patternAt(position - 1 - fitting, 1)[0])
      fitting += 1
    this.#corrupted += dropped + bytes.length - fitting
    this.#expected = position - fitting
    this.#take(fitting)
  }

  #take(bytes: number): void {
    if (bytes === 0) return
    const from = this.#expected
    const to = from + bytes
    const known = Math.max(from, Math.min(to, this.#highest))
    const late = known > from ? this.#covered.add(from, known) : 0
    const fresh = to > known ? this.#covered.add(known, to) : 0
    this.#reordered += late
    this.#duplicated += bytes - late - fresh
    this.#highest = Math.max(this.#highest, to)
    this.#expected = to
  }
}

/** How many bytes agree with the stream from `position` on. */
function agreeing(bytes: Buffer, position: number): number {
  const expected = patternAt(position, bytes.length)
  if (expected.equals(bytes)) return bytes.length
  let count = 0
  while (bytes[count] === expected[count]) count += 1
  return count
}

/** The first offset at which the stream can be read again: a whole word, wherever it belongs. */
function findWord(bytes: Buffer): { offset: number; position: number } | undefined {
  for (let offset = 0; offset + wordBytes <= bytes.length; offset += 1) {
    const position = positionOf(bytes, offset)
    if (position !== undefined) return { offset, position }
  }
  return undefined
}
