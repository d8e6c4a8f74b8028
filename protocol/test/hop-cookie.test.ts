/** A busy relay: what it does for a first message (nothing), and who gets in all the same. */
import { describe, expect, test } from 'vitest'
import { CookieJar, type CryptoProvider, cookieBytes, simulatorCrypto } from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { clientOptions, hopWorld, LinkPair, relayOptions, startMs, type Tamper } from './hop-fixtures.ts'
import { seededRandom } from './seeded-random.ts'

const world = hopWorld(nodeCrypto())

/** A busy relay whose Diffie-Hellmans are counted. */
function busyPair(client: { relayKey?: Uint8Array } = {}, tamper?: Tamper) {
  const counts = { dh: 0, made: 0 }
  const crypto: CryptoProvider = {
    ...world.crypto,
    x25519: (privateKey, publicKey) => {
      counts.dh += 1
      return world.crypto.x25519(privateKey, publicKey)
    },
  }
  const jar = new CookieJar(
    crypto,
    () => true,
    () => {
      counts.made += 1
    },
  )
  const relay = relayOptions(world, { crypto, cookies: jar.of('192.0.2.7') })
  return { pair: new LinkPair(clientOptions(world, client), relay, tamper), counts }
}

describe('a busy relay', () => {
  test.each([
    ['IK', { relayKey: world.relay.staticKey.publicKey }, 1],
    ['XX', {}, 1],
    ['IK with an old key, which becomes XX', { relayKey: world.crypto.generateX25519().publicKey }, 2],
  ])('lets in whoever brings the cookie back: %s', (_name, client, cookies) => {
    const { pair, counts } = busyPair(client)
    pair.start()
    expect(pair.of('client', 'established')).toHaveLength(1)
    expect(pair.of('relay', 'established')).toHaveLength(1)
    expect(counts.made).toBe(cookies)
  })

  test('computes no secret for whoever does not', () => {
    const { pair, counts } = busyPair()
    pair.cut.add('relay')
    pair.start()
    expect(counts).toEqual({ dh: 0, made: 1 })
    expect(pair.of('relay', 'closed')).toEqual([])
  })

  test('refuses a changed cookie, and a cookie with another first message', () => {
    for (const at of [3, 3 + cookieBytes + 1]) {
      const { pair, counts } = busyPair({}, (from, bytes) => {
        if (from === 'relay' || bytes[2] !== 6) return [bytes]
        const changed = bytes.slice()
        changed[at]! ^= 1
        return [changed]
      })
      pair.start()
      expect(pair.codes()).toEqual({ client: '<cookie_wrong', relay: 'cookie_wrong' })
      expect(counts.dh).toBe(0)
    }
  })

  test('that asks without end is left', () => {
    const { pair } = busyPair({}, (from, bytes) => (from === 'client' && bytes[2] === 6 ? [bytes.slice(0, 0)] : [bytes]))
    pair.start()
    const cookie = Uint8Array.from([0, cookieBytes + 1, 5, ...new Uint8Array(cookieBytes)])
    pair.client.receive(pair.nowMs, cookie)
    pair.client.receive(pair.nowMs, cookie)
    pair.pump()
    expect(pair.codes().client).toBe('unexpected_message')
  })
})

describe('a cookie', () => {
  const jar = new CookieJar(
    simulatorCrypto(seededRandom(3)),
    () => true,
    () => {},
  )
  const key = new Uint8Array(32).fill(9)
  const cookie = jar.of('192.0.2.7').make(startMs, key)

  test.each([
    ['holds for its address and key', '192.0.2.7', key, 0, true],
    ['and a minute later', '192.0.2.7', key, 60_000, true],
    ['not after two', '192.0.2.7', key, 120_000, false],
    ['not for another address', '192.0.2.8', key, 0, false],
    ['nor another key', '192.0.2.7', new Uint8Array(32).fill(8), 0, false],
  ])('%s', (_name, address, ephemeral, laterMs, holds) => {
    expect(jar.of(address).holds(startMs + laterMs, cookie, ephemeral)).toBe(holds)
  })
})
