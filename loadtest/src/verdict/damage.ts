// Names the damage of one message: what must have happened to `expected` so that `received` came out. The six ways a byte can go wrong are
// counted apart, because each points at another fault in the program under test.

/** What can happen to bytes on their way. `unknown` (never acknowledged on a connection without a path) is added by the recorder. */
export type DamageKind = 'lost' | 'duplicated' | 'reordered' | 'corrupted' | 'unexpected'

export interface Damage {
  readonly kind: DamageKind
  /** Where it begins in the message. */
  readonly at: number
  readonly bytes: number
}

/** Compares a whole message with what it should have been; undefined when they are equal. */
export function describeDamage(expected: Uint8Array, received: Uint8Array): Damage | undefined {
  const shorter = Math.min(expected.length, received.length)
  let prefix = 0
  while (prefix < shorter && expected[prefix] === received[prefix]) prefix++
  if (prefix === expected.length && prefix === received.length) return undefined
  let suffix = 0
  while (suffix < shorter - prefix && expected[expected.length - 1 - suffix] === received[received.length - 1 - suffix]) suffix++
  const missing = expected.length - received.length
  if (missing > 0 && prefix + suffix === received.length) return { kind: 'lost', at: prefix, bytes: missing }
  if (missing < 0 && prefix + suffix === expected.length) {
    return { kind: repeats(received, prefix, -missing) ? 'duplicated' : 'unexpected', at: prefix, bytes: -missing }
  }
  if (missing === 0) {
    const differing = countDiffering(expected, received, prefix, expected.length - suffix)
    const kind = sameBytes(expected, received, prefix, expected.length - suffix) ? 'reordered' : 'corrupted'
    return { kind, at: prefix, bytes: differing }
  }
  return { kind: 'corrupted', at: prefix, bytes: Math.max(expected.length, received.length) - prefix - suffix }
}

/** Whether the `length` bytes at `at` repeat those just before them. */
function repeats(bytes: Uint8Array, at: number, length: number): boolean {
  if (at < length) return false
  for (let i = 0; i < length; i++) if (bytes[at + i] !== bytes[at - length + i]) return false
  return true
}

function countDiffering(a: Uint8Array, b: Uint8Array, from: number, to: number): number {
  let count = 0
  for (let i = from; i < to; i++) if (a[i] !== b[i]) count++
  return count
}

/** Whether both ranges hold the same bytes in some order. */
function sameBytes(a: Uint8Array, b: Uint8Array, from: number, to: number): boolean {
  const balance = new Int32Array(256)
  for (let i = from; i < to; i++) {
    balance[a[i]!]! += 1
    balance[b[i]!]! -= 1
  }
  return balance.every((count) => count === 0)
}
