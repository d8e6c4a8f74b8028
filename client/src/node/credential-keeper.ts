/** Keeps a client's credential fresh: its file is read again when it changes, and the end of its certificate is told before it comes. */

import { type MeshTrust, SennitError, type UserIdentity, verifyUserCertificate } from '@sennit/protocol'
import { nodeCrypto, readCredential } from '@sennit/protocol/node'
import type { CredentialEvent } from './events.ts'
import { watchFile } from './watched-file.ts'

export interface CredentialKeeperOptions {
  /** undefined: it is no file, and only the program renews it. */
  readonly file: string | undefined
  readonly trust: MeshTrust
  readonly identity: UserIdentity
  readonly now: () => number
  /** Goes by it from now on. @throws SennitError why not, and then the old one stays. Returns when it ends. */
  take(identity: UserIdentity): number
  tell(event: CredentialEvent): void
}

/** How often the end of the certificate is looked at, and within its last day the file too, for a drive that shows no change. */
const endLookMs = 60_000
const warnBeforeMs = 24 * 3_600_000

export class CredentialKeeper {
  readonly #options: CredentialKeeperOptions
  readonly #timer: NodeJS.Timeout
  readonly #unwatch: () => void
  #certificate: Uint8Array
  #endsMs: number | undefined
  #told: 'no' | 'soon' | 'over' = 'no'

  constructor(options: CredentialKeeperOptions) {
    this.#options = options
    this.#certificate = options.identity.certificate
    const { file } = options
    this.#unwatch = file === undefined ? () => {} : watchFile(file, () => this.#read(file))
    this.#timer = setInterval(() => this.#look(), endLookMs)
    this.#timer.unref()
  }

  /** @throws SennitError why it is not taken */
  renew(identity: UserIdentity): void {
    this.#endsMs = this.#options.take(identity)
    this.#certificate = identity.certificate
    this.#told = 'no'
    this.#options.tell({ type: 'credential_renewed', expiresMs: this.#endsMs })
  }

  close(): void {
    clearInterval(this.#timer)
    this.#unwatch()
  }

  #read(file: string): void {
    try {
      const { trust, identity } = readCredential(file)
      if (trust.meshId !== this.#options.trust.meshId)
        throw new SennitError(
          'certificate_foreign',
          `expected a credential of mesh ${this.#options.trust.meshId}, found one of mesh ${trust.meshId}`,
        )
      if (!Buffer.from(identity.certificate).equals(this.#certificate)) this.renew(identity)
    } catch (error) {
      if (!(error instanceof SennitError)) throw error
      this.#options.tell({ type: 'credential_trouble', file, code: error.code, message: error.message })
    }
  }

  #look(): void {
    const { file, now, tell } = this.#options
    const leftMs = this.#end() - now()
    if (leftMs > warnBeforeMs) return
    if (file !== undefined) this.#read(file)
    const expiresMs = this.#end()
    const state = expiresMs <= now() ? 'over' : expiresMs - now() <= warnBeforeMs ? 'soon' : 'no'
    if (state === 'no' || state === this.#told) return
    this.#told = state
    tell({ type: 'credential_expires', expiresMs, over: state === 'over' })
  }

  /** Looked up when it is asked for: a program with thousands of clients checks no certificate twice at its start. */
  #end(): number {
    this.#endsMs ??= this.#endOf(this.#certificate)
    return this.#endsMs
  }

  #endOf(certificate: Uint8Array): number {
    try {
      return verifyUserCertificate(this.#options.trust, certificate, this.#options.now(), nodeCrypto()).notAfterMs
    } catch (error) {
      // One that has ended says when.
      const ended = error instanceof SennitError ? error.facts.notAfterMs : undefined
      if (typeof ended !== 'number') return Number.POSITIVE_INFINITY
      return ended
    }
  }
}
