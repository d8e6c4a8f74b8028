/**
 * Threshold sharing of a short secret (Shamir, "How to share a secret", 1979), byte by byte over GF(2⁸): share i is the value at x = i + 1 of a
 * polynomial of degree k − 1 whose value at 0 is the secret. Any k shares give it; k − 1 leave every secret equally likely.
 *
 * Own code because the library for it is asynchronous and machines here are not; tests hold it against that library's shares.
 */

import { inverse, multiply } from './gf256.ts'

/** @param random (k − 1) × secret length random bytes: the polynomials' other factors, used once */
export function shareSecret(secret: Uint8Array, k: number, n: number, random: Uint8Array): Uint8Array[] {
  const { length } = secret
  return Array.from({ length: n }, (_, index) => {
    const x = index + 1
    const share = new Uint8Array(length)
    for (let at = 0; at < length; at += 1) {
      let value = 0
      for (let degree = k - 2; degree >= 0; degree -= 1) value = multiply(value ^ random[degree * length + at]!, x)
      share[at] = value ^ secret[at]!
    }
    return share
  })
}

/** The secret from exactly k shares of it, by index. */
export function combineSecret(shares: ReadonlyMap<number, Uint8Array>): Uint8Array {
  let secret: Uint8Array | undefined
  for (const [index, share] of shares) {
    // Lagrange at 0: the product of xₘ ÷ (xₘ − xᵢ) over the others.
    let factor = 1
    for (const other of shares.keys()) {
      if (other !== index) factor = multiply(factor, multiply(other + 1, inverse((other + 1) ^ (index + 1))))
    }
    secret ??= new Uint8Array(share.length)
    for (let at = 0; at < secret.length; at += 1) secret[at]! ^= multiply(share[at]!, factor)
  }
  return secret ?? new Uint8Array(0)
}
