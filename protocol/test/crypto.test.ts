import { createCipheriv } from 'node:crypto'
import fc from 'fast-check'
import sodium from 'libsodium-wrappers'
import { describe, expect, test } from 'vitest'
import { type CryptoProvider, concat, hex, hkdf, ProtocolError, simulatorCrypto, unhex, utf8 } from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { seededRandom } from './seeded-random.ts'

const node = nodeCrypto()
// The provider asked for it first, so small packets go to it once it is here.
await sodium.ready

describe('nodeCrypto against the vectors of the standards', () => {
  test('ChaCha20-Poly1305, RFC 8439 §2.8.2', () => {
    const key = unhex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f')
    const associatedData = unhex('50515253c0c1c2c3c4c5c6c7')
    const plaintext = utf8(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    )
    const sealed = hex(concat(node.aead(key).seal(unhex('070000004041424344454647'), associatedData, [plaintext])))
    expect(sealed.slice(0, 64)).toBe('d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6')
    expect(sealed.slice(-32)).toBe('1ae10b594f09e26a7e902ecbd0600691')
  })

  test('small packets and big ones are sealed alike, whoever does it', () => {
    const [key, nonce] = [new Uint8Array(32).fill(7), new Uint8Array(12).fill(9)]
    const aead = node.aead(key)
    for (const size of [0, 1, 40, 1_023, 1_024, 1_025, 70_000]) {
      for (const associatedData of [new Uint8Array(0), new Uint8Array(20).fill(3)]) {
        const random = seededRandom(size)
        const plaintext = Uint8Array.from({ length: size }, () => random() * 256)
        const openssl = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 })
        if (associatedData.length > 0) openssl.setAAD(associatedData, { plaintextLength: 0 })
        const expected = Buffer.concat([openssl.update(plaintext), openssl.final(), openssl.getAuthTag()])
        const cut = Math.floor(size / 3)
        const sealed = concat(aead.seal(nonce, associatedData, [plaintext.subarray(0, cut), plaintext.subarray(cut)]))
        expect(hex(sealed)).toBe(hex(expected))
        expect(aead.open(nonce, associatedData, [sealed.subarray(0, cut), sealed.subarray(cut)])).toEqual(plaintext)
        sealed[cut]! ^= 1
        expect(aead.open(nonce, associatedData, [sealed])).toBeUndefined()
      }
    }
  })

  test('a key array may be wiped once it is taken', () => {
    const key = new Uint8Array(32).fill(7)
    const aead = node.aead(key)
    key.fill(0)
    const sealed = aead.seal(new Uint8Array(12), new Uint8Array(0), [new Uint8Array(5)])
    expect(node.aead(new Uint8Array(32).fill(7)).open(new Uint8Array(12), new Uint8Array(0), sealed)).toEqual(new Uint8Array(5))
  })

  test('X25519, RFC 7748 §5.2', () => {
    const privateKey = unhex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4')
    const publicKey = unhex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c')
    expect(hex(node.x25519(privateKey, publicKey))).toBe('c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552')
  })

  test('HKDF, RFC 5869 case 1', () => {
    const output = hkdf(node, unhex('000102030405060708090a0b0c'), new Uint8Array(22).fill(0x0b), unhex('f0f1f2f3f4f5f6f7f8f9'), 42)
    expect(hex(output)).toBe('3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865')
  })

  test('Ed25519, RFC 8032 §7.1 test 2', () => {
    const seed = unhex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb')
    const publicKey = unhex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')
    const signature = node.ed25519Sign(seed, unhex('72'))
    expect(hex(signature)).toBe(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    )
    expect(node.ed25519Verify(publicKey, unhex('72'), signature)).toBe(true)
  })
})

const providers: [string, () => CryptoProvider][] = [
  ['node', nodeCrypto],
  ['simulator', () => simulatorCrypto(seededRandom(11))],
]

describe.each(providers)('the %s provider', (name, make) => {
  const crypto = make()
  const runs = name === 'node' ? 100 : 1_000

  test('says its name', () => {
    expect(crypto.name).toBe(name)
  })

  test('both ends derive one secret, others another', () => {
    const [alice, bob, eve] = [crypto.generateX25519(), crypto.generateX25519(), crypto.generateX25519()]
    const secret = hex(crypto.x25519(alice.privateKey, bob.publicKey))
    expect(hex(crypto.x25519(bob.privateKey, alice.publicKey))).toBe(secret)
    expect(hex(crypto.x25519(eve.privateKey, bob.publicKey))).not.toBe(secret)
    expect(secret.length).toBe(64)
  })

  test.each([32, 31, 0])('a public key of %s zero bytes is refused', (length) => {
    expect(() => crypto.x25519(crypto.generateX25519().privateKey, new Uint8Array(length))).toThrow(ProtocolError)
  })

  test('what was sealed opens, however it was cut into pieces', () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 6_000 }), { maxLength: 6 })
    fc.assert(
      fc.property(pieces, fc.uint8Array({ maxLength: 40 }), fc.nat(), (plaintext, associatedData, cut) => {
        const aead = crypto.aead(crypto.randomBytes(32))
        const nonce = crypto.randomBytes(12)
        const sealed = concat(aead.seal(nonce, associatedData, plaintext)).slice()
        expect(sealed.length).toBe(concat(plaintext).length + 16)
        expect(hex(concat(aead.seal(nonce, associatedData, [concat(plaintext)])))).toBe(hex(sealed))
        const at = cut % (sealed.length + 1)
        expect(hex(aead.open(nonce, associatedData, [sealed.subarray(0, at), sealed.subarray(at)])!)).toBe(hex(concat(plaintext)))
        expect(hex(aead.open(nonce, associatedData, [sealed])!)).toBe(hex(concat(plaintext)))
      }),
      { numRuns: runs },
    )
  })

  test('any changed bit of what was sealed, the nonce, the associated data or the key does not open', () => {
    const [key, nonce, associatedData] = [crypto.randomBytes(32), crypto.randomBytes(12), crypto.randomBytes(29)]
    const sealed = concat(crypto.aead(key).seal(nonce, associatedData, [crypto.randomBytes(61)])).slice()
    const parts = [sealed, nonce, associatedData, key]
    for (const part of parts) {
      for (let bit = 0; bit < part.length * 8; bit += 1) {
        part[bit >> 3]! ^= 1 << (bit & 7)
        // A new array each time: providers may keep what they made of a key array.
        expect(crypto.aead(key.slice()).open(nonce, associatedData, [sealed])).toBeUndefined()
        part[bit >> 3]! ^= 1 << (bit & 7)
      }
    }
    expect(crypto.aead(key).open(nonce, associatedData, [sealed])).toBeDefined()
  })

  test('what is cut or longer does not open', () => {
    const aead = crypto.aead(crypto.randomBytes(32))
    const [nonce, associatedData] = [crypto.randomBytes(12), crypto.randomBytes(3)]
    const sealed = concat(aead.seal(nonce, associatedData, [crypto.randomBytes(40)])).slice()
    for (let length = 0; length < sealed.length; length += 1) {
      expect(aead.open(nonce, associatedData, [sealed.subarray(0, length)])).toBeUndefined()
    }
    expect(aead.open(nonce, associatedData, [sealed, new Uint8Array(1)])).toBeUndefined()
    expect(aead.open(nonce, associatedData, [])).toBeUndefined()
  })

  test('signatures hold for their key and message only', () => {
    const [pair, other] = [crypto.generateEd25519(), crypto.generateEd25519()]
    const message = utf8('a certificate')
    const signature = crypto.ed25519Sign(pair.privateKey, message)
    expect(signature.length).toBe(64)
    expect(crypto.ed25519Verify(pair.publicKey, message, signature)).toBe(true)
    expect(crypto.ed25519Verify(other.publicKey, message, signature)).toBe(false)
    expect(crypto.ed25519Verify(pair.publicKey, utf8('another'), signature)).toBe(false)
    expect(crypto.ed25519Verify(pair.publicKey.subarray(1), message, signature)).toBe(false)
    expect(crypto.ed25519Verify(pair.publicKey, message, signature.subarray(1))).toBe(false)
    for (let bit = 0; bit < 512; bit += 7) {
      const forged = signature.slice()
      forged[bit >> 3]! ^= 1 << (bit & 7)
      expect(crypto.ed25519Verify(pair.publicKey, message, forged)).toBe(false)
    }
  })

  test('hashes do not care how parts are cut, and care about every bit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (bytes, cut) => {
        const at = cut % (bytes.length + 1)
        const key = utf8('key')
        expect(hex(crypto.sha256([bytes.subarray(0, at), bytes.subarray(at)]))).toBe(hex(crypto.sha256([bytes])))
        expect(hex(crypto.hmacSha256(key, [bytes.subarray(0, at), bytes.subarray(at)]))).toBe(hex(crypto.hmacSha256(key, [bytes])))
        expect(hex(crypto.sha256([bytes, new Uint8Array(1)]))).not.toBe(hex(crypto.sha256([bytes])))
        if (bytes.length === 0) return
        const changed = bytes.slice()
        changed[at % bytes.length]! ^= 1
        expect(hex(crypto.sha256([changed]))).not.toBe(hex(crypto.sha256([bytes])))
      }),
      { numRuns: runs },
    )
  })
})

test('the simulator is reproducible by its seed', () => {
  const run = () => {
    const crypto = simulatorCrypto(seededRandom(3))
    return (
      hex(crypto.generateX25519().publicKey) +
      hex(concat(crypto.aead(crypto.randomBytes(32)).seal(new Uint8Array(12), new Uint8Array(0), [])))
    )
  }
  expect(run()).toBe(run())
})

test('the simulator copes with a packet larger than its scratch, and with small ones after it', () => {
  const aead = simulatorCrypto(seededRandom(5)).aead(new Uint8Array(32).fill(1))
  const nonce = new Uint8Array(12)
  const big = new Uint8Array(65_520).fill(7)
  const before = hex(concat(aead.seal(nonce, new Uint8Array(0), [unhex('0102')])))
  const sealed = concat(aead.seal(nonce, new Uint8Array(0), [big]))
  expect(aead.open(nonce, new Uint8Array(0), [sealed])?.length).toBe(65_520)
  expect(hex(concat(aead.seal(nonce, new Uint8Array(0), [unhex('0102')])))).toBe(before)
})
