/**
 * The client's half of the hop handshake.
 *
 * ```
 * XX   client                            relay            IK   client                            relay
 *      xx: e, ClientHello            ->                        ik: e, s, ClientHello+proof   ->
 *      <-  xx: e, s, RelayHello                                <-  ik: e, RelayHello+attachment id
 *      xx: s, ClientProof            ->                        first record (a ping)         ->
 *      <-  first record (welcome)
 * ```
 * A busy relay answers the first message with a cookie, and takes the message again behind it (cookie.ts).
 * A relay that cannot read an IK message (its key changed) answers `try_xx`; its certificate is demanded in every case.
 */

import { concat } from '../bytes.ts'
import { ClientHelloSchema, ClientProofSchema, RelayHelloSchema } from '../control/gen/sennit/v1/hop_pb.ts'
import { SennitError } from '../errors.ts'
import { HandshakeState, type NoisePattern } from '../noise/handshake-state.ts'
import { checkCertifiedKey, verifyRelayCertificate } from '../trust/certificates.ts'
import type { MeshTrust, UserIdentity } from '../trust/types.ts'
import { cookieBytes } from './cookie.ts'
import {
  commonVersion,
  decodeMessage,
  decodeRefusal,
  encodeHandshakeFrame,
  encodeMessage,
  HANDSHAKE_FRAME,
  HandshakeFailure,
  hopPrologue,
  hopVersions,
  makeMeshTag,
  printable,
  refusalOf,
  type TransportKeys,
  versionRefusal,
} from './handshake-frame.ts'
import type { EstablishedRelay, HopLinkOptions, VersionRange } from './types.ts'

/** What the relay's answer led to. `attachmentId` comes with IK; in XX it comes with the welcome. */
export interface InitiatorResult {
  readonly keys: TransportKeys
  readonly relay: Omit<EstablishedRelay, 'attachmentId'>
  readonly attachmentId?: Uint8Array
}

export interface InitiatorStep {
  readonly write?: Uint8Array
  readonly result?: InitiatorResult
}

const attachmentIdBytes = 16
/** One for an IK message that the relay cannot read, one for the XX message after it. */
const cookiesMax = 2
const noInstance = new Uint8Array(16)

export class InitiatorHandshake {
  readonly #options: HopLinkOptions
  readonly #trust: MeshTrust
  readonly #identity: UserIdentity
  readonly #versions: VersionRange
  #noise: HandshakeState | undefined
  #pattern: NoisePattern
  /** The newest first message, which a busy relay wants again. */
  #first: { readonly type: number; readonly body: Uint8Array } | undefined
  #cookies = 0

  constructor(options: HopLinkOptions) {
    if (options.trust === undefined || options.identity === undefined) {
      throw new SennitError('internal', 'the initiator of a hop needs the trust of its mesh and an identity')
    }
    this.#options = options
    this.#trust = options.trust
    this.#identity = options.identity
    this.#versions = options.versions ?? hopVersions
    this.#pattern = options.relayKey === undefined ? 'XX' : 'IK'
  }

  /** The first frame. */
  first(): Uint8Array {
    const { crypto, meshId, carrier, relayKey, software } = this.#options
    const ik = this.#pattern === 'IK'
    this.#noise = new HandshakeState({
      crypto,
      pattern: this.#pattern,
      role: 'initiator',
      prologue: hopPrologue(meshId, carrier),
      staticKey: this.#identity.hopKey,
      ...(ik && relayKey !== undefined ? { remoteStatic: relayKey } : {}),
    })
    const hello = encodeMessage(ClientHelloSchema, {
      versionMin: this.#versions.min,
      versionMax: this.#versions.max,
      meshTag: makeMeshTag(crypto, meshId),
      software,
      ...(ik ? { proof: this.#proof() } : {}),
    })
    const first = { type: ik ? HANDSHAKE_FRAME.ik : HANDSHAKE_FRAME.xx, body: this.#noise.writeMessage(hello) }
    this.#first = first
    return encodeHandshakeFrame(first.type, first.body)
  }

  /** Takes one frame of the relay. @throws SennitError when the attachment cannot be */
  receive(nowMs: number, type: number, body: Uint8Array): InitiatorStep {
    if (type === HANDSHAKE_FRAME.refuse) {
      const { code, message } = decodeRefusal(body)
      throw new HandshakeFailure(code, message, { remote: true })
    }
    if (type === HANDSHAKE_FRAME.tryXx && this.#pattern === 'IK') {
      this.#pattern = 'XX'
      return { write: this.first() }
    }
    if (type === HANDSHAKE_FRAME.cookie) return { write: this.#again(body) }
    const expected = this.#pattern === 'IK' ? HANDSHAKE_FRAME.ik : HANDSHAKE_FRAME.xx
    if (type !== expected || this.#noise === undefined) {
      throw new HandshakeFailure('unexpected_message', `expected handshake frame ${expected}, found ${type}`)
    }
    return this.#onRelayHello(nowMs, this.#noise, body)
  }

  /** The same first message once more, behind the cookie. Nobody vouches for a cookie; a wrong one costs this attempt. */
  #again(cookie: Uint8Array): Uint8Array {
    const first = this.#first
    this.#cookies += 1
    if (first === undefined || cookie.length !== cookieBytes || this.#cookies > cookiesMax)
      throw new HandshakeFailure('unexpected_message', 'a cookie is not expected now')
    return encodeHandshakeFrame(HANDSHAKE_FRAME.again, concat([cookie, new Uint8Array([first.type]), first.body]))
  }

  #onRelayHello(nowMs: number, noise: HandshakeState, body: Uint8Array): InitiatorStep {
    const hello = decodeMessage('the hello of a relay', RelayHelloSchema, noise.readMessage(body))
    const ik = this.#pattern === 'IK'
    const keys = ik ? this.#keys(noise) : undefined
    const key = noise.remoteStatic!
    const relayId = this.#checked(keys, () => this.#checkRelay(nowMs, hello.certificate, key))
    if (hello.refusal !== undefined) {
      const { code, message } = refusalOf(hello.refusal)
      throw new HandshakeFailure(code, message, { remote: true })
    }
    const software = printable(hello.software)
    const theirs = { min: hello.versionMin, max: hello.versionMax }
    this.#checked(keys, () => {
      const refusal = versionRefusal({ software, versions: theirs }, { software: this.#options.software, versions: this.#versions })
      if (hello.version !== commonVersion(this.#versions, theirs)) throw new SennitError(refusal.code, refusal.message)
    })
    const relay = { relayId, key, version: hello.version, software }
    if (keys !== undefined) {
      const { attachmentId } = hello
      if (attachmentId.length !== attachmentIdBytes) {
        throw new HandshakeFailure('malformed', `expected an attachment id of ${attachmentIdBytes} bytes, found ${attachmentId.length}`, {
          keys,
        })
      }
      return { result: { keys, relay, attachmentId } }
    }
    const write = encodeHandshakeFrame(HANDSHAKE_FRAME.xx, noise.writeMessage(encodeMessage(ClientProofSchema, this.#proof())))
    return { write, result: { keys: this.#keys(noise), relay } }
  }

  #checkRelay(nowMs: number, bytes: Uint8Array, key: Uint8Array): string {
    const { crypto, relayId } = this.#options
    const certificate = verifyRelayCertificate(this.#trust, bytes, nowMs, crypto)
    checkCertifiedKey(certificate.staticKey, key, `relay '${certificate.relayId}'`)
    if (relayId !== undefined && relayId !== certificate.relayId) {
      throw new SennitError('relay_mismatch', `expected relay '${relayId}' at this address, found relay '${certificate.relayId}'`, {
        expected: relayId,
        found: certificate.relayId,
      })
    }
    return certificate.relayId
  }

  /** Runs `check`; what it throws knows the keys, so that the relay hears of it under their seal. */
  #checked<T>(keys: TransportKeys | undefined, check: () => T): T {
    try {
      return check()
    } catch (cause) {
      if (!(cause instanceof SennitError) || keys === undefined) throw cause
      throw new HandshakeFailure(cause.code, cause.message, { keys, cause })
    }
  }

  #keys(noise: HandshakeState): TransportKeys {
    const { initiatorKey, responderKey, handshakeHash } = noise.keys()
    return { send: initiatorKey, receive: responderKey, handshakeHash }
  }

  #proof(): {
    software: string
    credential: { credential: { case: 'certificate'; value: Uint8Array } }
    label: string
    instance: Uint8Array
    heartbeatSaver: boolean
  } {
    const { software, label, instance, heartbeat } = this.#options
    return {
      software,
      credential: { credential: { case: 'certificate', value: this.#identity.certificate } },
      label: label ?? '',
      instance: instance ?? noInstance,
      heartbeatSaver: heartbeat === 'saver',
    }
  }
}
