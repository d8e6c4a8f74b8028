/**
 * The cookie of a relay under load: it answers a first handshake message with a cookie instead of computing anything, keeps nothing, and goes on
 * only with whoever brings the cookie back. So a stranger has to receive at the address it sends from, and to send twice, before it costs the
 * relay a Diffie-Hellman; what it costs until then is one HMAC.
 *
 * cookie = u8 turn ‖ HMAC-SHA-256(secret of that turn, address ‖ 0 ‖ ephemeral public key)[0..16]
 */

import { equalBytes, utf8 } from '../bytes.ts'
import { type CryptoProvider, keyBytes } from '../crypto.ts'

/** Bytes of a cookie: 128 bits cannot be guessed in the two minutes one lives. */
export const cookieBytes = 17

/** A secret makes cookies this long and takes them as long again. */
const turnMs = 60_000

/** What a responder asks about the first message of one carrier. */
export interface HandshakeCookies {
  /** The relay is under load: nobody gets in without one. */
  wanted(): boolean
  make(nowMs: number, ephemeral: Uint8Array): Uint8Array
  holds(nowMs: number, cookie: Uint8Array, ephemeral: Uint8Array): boolean
}

export class CookieJar {
  readonly #crypto: CryptoProvider
  readonly #wanted: () => boolean
  readonly #made: () => void
  /** By turn, the current and the last one. */
  #secrets: { turn: number; key: Uint8Array }[] = []

  /** @param wanted whether the relay is under load now @param made told of each cookie, for the count */
  constructor(crypto: CryptoProvider, wanted: () => boolean, made: () => void) {
    this.#crypto = crypto
    this.#wanted = wanted
    this.#made = made
  }

  /** The cookies of one address. */
  of(address: string): HandshakeCookies {
    const from = utf8(`${address}\0`)
    return {
      wanted: this.#wanted,
      make: (nowMs, ephemeral) => {
        this.#made()
        const { turn, key } = this.#current(nowMs)
        return this.#cookie(turn, key, from, ephemeral)
      },
      holds: (nowMs, cookie, ephemeral) => {
        this.#current(nowMs)
        const secret = this.#secrets.find(({ turn }) => (turn & 0xff) === cookie[0])
        return secret !== undefined && equalBytes(cookie, this.#cookie(secret.turn, secret.key, from, ephemeral))
      },
    }
  }

  #cookie(turn: number, key: Uint8Array, from: Uint8Array, ephemeral: Uint8Array): Uint8Array {
    const cookie = new Uint8Array(cookieBytes)
    cookie[0] = turn
    cookie.set(this.#crypto.hmacSha256(key, [from, ephemeral]).subarray(0, cookieBytes - 1), 1)
    return cookie
  }

  #current(nowMs: number): { turn: number; key: Uint8Array } {
    const turn = Math.floor(nowMs / turnMs)
    this.#secrets = this.#secrets.filter((secret) => turn - secret.turn <= 1)
    const known = this.#secrets.find((secret) => secret.turn === turn)
    if (known !== undefined) return known
    const fresh = { turn, key: this.#crypto.randomBytes(keyBytes) }
    this.#secrets.push(fresh)
    return fresh
  }
}
