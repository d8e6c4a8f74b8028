// Random numbers of a plan: one stream per purpose from the one seed, so that a row that is added does not move what others drew.
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { mix32 } from '../verdict/keystream.ts'

/** Numbers in [0, 1). */
export function randomStream(seed: number, purpose: string): () => number {
  let key = mix32(seed) ^ mix32(Math.floor(seed / 0x1_0000_0000) + 0x9e3779b9)
  for (const letter of purpose) key = mix32(key ^ letter.codePointAt(0)!)
  const generator = xoroshiro128plus(key | 0)
  return () => uniformFloat64(generator)
}

/** A copy in random order (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const copy = [...items]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[copy[i], copy[j]] = [copy[j]!, copy[i]!]
  }
  return copy
}
