/** The ways to cut a sealed packet into shares, and what each costs. */

import { keyBytes, tagBytes } from '../crypto.ts'
import { SennitError } from '../errors.ts'

/**
 * `split`: n XOR shares; all are needed, any n − 1 are noise. `disperse`: any k of n are enough and k − 1 show nothing: the packet is encrypted under
 * a key of its own and erasure-coded, and the key is shared with the same threshold.
 */
export type ShareScheme =
  | { readonly kind: 'split'; readonly n: number }
  | { readonly kind: 'disperse'; readonly k: number; readonly n: number }

/** Shares of one packet: twice the relays that a client of a usual list is attached to. */
export const sharesMax = 16

/** u8 scheme ‖ u8 index ‖ u8 k ‖ u8 n ‖ u32 sealed length ‖ u64 set. */
export const shareHeaderBytes = 16

/** @throws SennitError `bad_share_scheme` unless 2 ≤ k ≤ n ≤ {@link sharesMax} */
export function checkShareScheme(scheme: ShareScheme): void {
  const { n } = scheme
  const k = shareThreshold(scheme)
  if (Number.isInteger(n) && Number.isInteger(k) && k >= 2 && k <= n && n <= sharesMax) return
  const found = scheme.kind === 'split' ? `split(${n})` : `disperse(${k}, ${n})`
  throw new SennitError('bad_share_scheme', `expected 2 to ${sharesMax} shares of which 2 or more are needed, found ${found}`, { k, n })
}

/** How many shares give the packet back. */
export function shareThreshold(scheme: ShareScheme): number {
  return scheme.kind === 'split' ? scheme.n : scheme.k
}

/** Bytes that one share of a sealed packet of `sealedBytes` takes on a circuit. */
export function shareBytes(scheme: ShareScheme, sealedBytes: number): number {
  return shareHeaderBytes + shareBodyBytes(scheme, sealedBytes) + tagBytes
}

/** Bytes between the share's header and its tag. */
export function shareBodyBytes(scheme: ShareScheme, sealedBytes: number): number {
  return scheme.kind === 'split' ? sealedBytes : keyBytes + Math.ceil((sealedBytes + tagBytes) / scheme.k)
}
