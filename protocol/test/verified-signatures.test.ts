/** What is remembered of signatures that were found good, and what is not taken for one of them. */

import { describe, expect, test } from 'vitest'
import { utf8 } from '../src/index.ts'
import { VerifiedSignatures } from '../src/node/verified-signatures.ts'

const key = new Uint8Array(32).fill(1)
const message = utf8('relay r1 of the mesh')
const signature = Uint8Array.from({ length: 64 }, (_, at) => at * 4)

function changed(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice()
  copy[at]! ^= 1
  return copy
}

describe('signatures found good', () => {
  test('are known by exactly their bytes', () => {
    const verified = new VerifiedSignatures()
    expect(verified.has(key, message, signature)).toBe(false)
    verified.add(key, message, signature)
    expect(verified.has(key.slice(), message.slice(), signature.slice())).toBe(true)
    for (let at = 0; at < 64; at += 1) expect(verified.has(key, message, changed(signature, at))).toBe(false)
    for (let at = 0; at < 32; at += 1) expect(verified.has(changed(key, at), message, signature)).toBe(false)
    for (let at = 0; at < message.length; at += 1) expect(verified.has(key, changed(message, at), signature)).toBe(false)
    expect(verified.has(key, message.subarray(1), signature)).toBe(false)
    expect(verified.has(key, new Uint8Array([...message, 0]), signature)).toBe(false)
    expect(verified.has(key, message, signature.subarray(1))).toBe(false)
  })

  test('are not changed by what becomes of the arrays they came in', () => {
    const verified = new VerifiedSignatures()
    const [ownKey, ownMessage] = [key.slice(), message.slice()]
    verified.add(ownKey, ownMessage, signature)
    ownKey.fill(9)
    ownMessage.fill(9)
    expect(verified.has(ownKey, ownMessage, signature)).toBe(false)
    expect(verified.has(key, message, signature)).toBe(true)
  })

  test('are 256 at most, the newest, and none of more than a certificate', () => {
    const verified = new VerifiedSignatures()
    const of = (number: number): Uint8Array => new Uint8Array(64).fill(number & 0xff, 0, 32).fill(number >> 8, 32)
    for (let number = 0; number < 300; number += 1) verified.add(key, message, of(number))
    const known = Array.from({ length: 300 }, (_, number) => verified.has(key, message, of(number)))
    expect(known.indexOf(true)).toBe(300 - 256)
    expect(known.filter(Boolean).length).toBe(256)
    verified.add(key, new Uint8Array(4_097), of(999))
    expect(verified.has(key, new Uint8Array(4_097), of(999))).toBe(false)
  })
})
