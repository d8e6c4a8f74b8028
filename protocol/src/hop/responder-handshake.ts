/** The relay's half of the hop handshake; the transcript stands in `initiator-handshake.ts`. */

import {
  type ClientHello,
  ClientHelloSchema,
  type ClientProof,
  ClientProofSchema,
  RelayHelloSchema,
} from '../control/gen/sennit/v1/hop_pb.ts'
import { keyBytes } from '../crypto.ts'
import { SennitError } from '../errors.ts'
import { HandshakeState } from '../noise/handshake-state.ts'
import { checkCertifiedKey, verifyUserCertificate } from '../trust/certificates.ts'
import { isName } from '../trust/names.ts'
import type { Credential, MeshTrust, RelayIdentity } from '../trust/types.ts'
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
  isMeshTag,
  printable,
  type TransportKeys,
  versionRefusal,
} from './handshake-frame.ts'
import type { EstablishedUser, HopLinkOptions, VersionRange } from './types.ts'

interface Refusal {
  readonly code: string
  readonly message: string
}

type Judged = { readonly user: EstablishedUser } | { readonly refusal: Refusal }

/** What the client's messages led to. */
export interface ResponderResult {
  readonly keys: TransportKeys
  readonly user: EstablishedUser
  readonly saver: boolean
  /** XX: the client waits for a welcome. IK: it has its answer, and its first record is awaited. */
  readonly pattern: 'XX' | 'IK'
}

export interface ResponderStep {
  readonly write?: Uint8Array
  readonly result?: ResponderResult
  /** After `write`, the attachment ends with this; the client was told by `write` already. */
  readonly refusal?: Refusal
}

const instanceBytes = 16
const attachmentIdBytes = 16

export class ResponderHandshake {
  readonly #options: HopLinkOptions
  readonly #identity: RelayIdentity
  readonly #trust: MeshTrust
  readonly #versions: VersionRange
  readonly #attachmentId: Uint8Array
  #noise: HandshakeState | undefined
  #hello: ClientHello | undefined
  #triedIk = false

  constructor(options: HopLinkOptions) {
    if (options.relayIdentity === undefined || options.trust === undefined) {
      throw new SennitError('internal', 'the responder of a hop needs the identity of its relay and the trust of its mesh')
    }
    this.#options = options
    this.#identity = options.relayIdentity
    this.#trust = options.trust
    this.#versions = options.versions ?? hopVersions
    this.#attachmentId = options.attachmentId?.() ?? options.crypto.randomBytes(attachmentIdBytes)
  }

  /** Takes one frame of the client. @throws SennitError when the attachment cannot be */
  receive(nowMs: number, type: number, body: Uint8Array): ResponderStep {
    const isFirst = this.#noise === undefined && (type === HANDSHAKE_FRAME.xx || type === HANDSHAKE_FRAME.ik)
    if (isFirst && this.#options.cookies?.wanted() === true) {
      const cookie = this.#options.cookies.make(nowMs, body.subarray(0, keyBytes))
      return { write: encodeHandshakeFrame(HANDSHAKE_FRAME.cookie, cookie) }
    }
    if (type !== HANDSHAKE_FRAME.again || this.#noise !== undefined) return this.#take(nowMs, type, body)
    const [cookie, inner] = [body.subarray(0, cookieBytes), body.subarray(cookieBytes + 1)]
    if (this.#options.cookies?.holds(nowMs, cookie, inner.subarray(0, keyBytes)) === false)
      throw new HandshakeFailure('cookie_wrong', 'expected the cookie that this relay gave to this address, found another')
    return this.#take(nowMs, body[cookieBytes] ?? 0, inner)
  }

  #take(nowMs: number, type: number, body: Uint8Array): ResponderStep {
    switch (type) {
      case HANDSHAKE_FRAME.refuse: {
        const { code, message } = decodeRefusal(body)
        throw new HandshakeFailure(code, message, { remote: true })
      }
      case HANDSHAKE_FRAME.ik:
        if (this.#noise !== undefined || this.#triedIk) break
        return this.#onIk(nowMs, body)
      case HANDSHAKE_FRAME.xx:
        return this.#noise === undefined ? this.#onFirst(body) : this.#onProof(nowMs, this.#noise, body)
    }
    throw new HandshakeFailure('unexpected_message', `handshake frame ${type} is not expected now`)
  }

  #onIk(nowMs: number, body: Uint8Array): ResponderStep {
    this.#triedIk = true
    const noise = this.#start('IK')
    let hello: ClientHello
    try {
      hello = decodeMessage('the hello of a client', ClientHelloSchema, noise.readMessage(body))
    } catch (cause) {
      if (!(cause instanceof SennitError)) throw cause
      // Most likely the client knows an old key of this relay. XX shows it the new one, with its certificate.
      return { write: encodeHandshakeFrame(HANDSHAKE_FRAME.tryXx, new Uint8Array(0)) }
    }
    const version = this.#version(hello)
    const judged: Judged =
      version === undefined ? { refusal: this.#versionRefusal(hello) } : this.#judge(nowMs, noise.remoteStatic!, hello.proof, version)
    const answer = encodeMessage(RelayHelloSchema, {
      ...this.#relayHello(version),
      ...('refusal' in judged ? { refusal: judged.refusal } : { attachmentId: this.#attachmentId }),
    })
    const write = encodeHandshakeFrame(HANDSHAKE_FRAME.ik, noise.writeMessage(answer))
    if ('refusal' in judged) return { write, refusal: judged.refusal }
    return { write, result: { keys: this.#keys(noise), user: judged.user, saver: hello.proof!.heartbeatSaver, pattern: 'IK' } }
  }

  #onFirst(body: Uint8Array): ResponderStep {
    const noise = this.#start('XX')
    const hello = decodeMessage('the hello of a client', ClientHelloSchema, noise.readMessage(body))
    if (!isMeshTag(this.#options.crypto, this.#options.meshId, hello.meshTag)) {
      throw new HandshakeFailure('wrong_mesh', `relay '${this.#identity.relayId}' is not of the mesh this client means`)
    }
    const version = this.#version(hello)
    const refusal = version === undefined ? this.#versionRefusal(hello) : undefined
    const answer = encodeMessage(RelayHelloSchema, { ...this.#relayHello(version), ...(refusal === undefined ? {} : { refusal }) })
    const write = encodeHandshakeFrame(HANDSHAKE_FRAME.xx, noise.writeMessage(answer))
    if (refusal !== undefined) return { write, refusal }
    this.#noise = noise
    this.#hello = hello
    return { write }
  }

  #onProof(nowMs: number, noise: HandshakeState, body: Uint8Array): ResponderStep {
    const payload = noise.readMessage(body)
    const keys = this.#keys(noise)
    let judged: Judged
    let proof: ClientProof | undefined
    try {
      proof = decodeMessage('the proof of a client', ClientProofSchema, payload)
      judged = this.#judge(nowMs, noise.remoteStatic!, proof, this.#version(this.#hello!)!)
    } catch (cause) {
      if (!(cause instanceof SennitError)) throw cause
      judged = { refusal: { code: cause.code, message: cause.message } }
    }
    if ('refusal' in judged) throw new HandshakeFailure(judged.refusal.code, judged.refusal.message, { keys })
    return { result: { keys, user: judged.user, saver: proof?.heartbeatSaver ?? false, pattern: 'XX' } }
  }

  #judge(nowMs: number, hopKey: Uint8Array, proof: ClientProof | undefined, version: number): Judged {
    const { crypto, verifyCredential } = this.#options
    if (proof === undefined) return refuse('malformed', 'expected the proof of a client, found none')
    const { label, instance } = proof
    if (label !== '' && !isName(label)) return refuse('bad_name', 'expected a label of 1 to 63 of a-z 0-9 . _ -, found another text')
    if (instance.length !== instanceBytes)
      return refuse('malformed', `expected an instance of ${instanceBytes} bytes, found ${instance.length}`)
    const credential = credentialOf(proof)
    if (credential === undefined) return refuse('malformed', 'expected a credential, found none that is known here')
    if (credential.type !== 'certificate') {
      return refuse('not_yet', `credentials of type '${credential.type}' are not taken yet; use a certificate`)
    }
    try {
      const certificate = verifyUserCertificate(this.#trust, credential.certificate, nowMs, crypto)
      checkCertifiedKey(certificate.hopKey, hopKey, `user '${certificate.user}'`)
      const verdict = verifyCredential?.call(this.#options, credential, hopKey, nowMs) ?? certificate
      if ('refuse' in verdict) return refuse(verdict.refuse, verdict.message)
      const { user, applications } = verdict
      const software = printable(proof.software)
      return { user: { user, label, instance, applications, hopKey, certificate, version, software, attachmentId: this.#attachmentId } }
    } catch (cause) {
      if (!(cause instanceof SennitError)) throw cause
      return refuse(cause.code, cause.message)
    }
  }

  #start(pattern: 'XX' | 'IK'): HandshakeState {
    const { crypto, meshId, carrier } = this.#options
    const prologue = hopPrologue(meshId, carrier)
    return new HandshakeState({ crypto, pattern, role: 'responder', prologue, staticKey: this.#identity.staticKey })
  }

  #keys(noise: HandshakeState): TransportKeys {
    const { initiatorKey, responderKey, handshakeHash } = noise.keys()
    return { send: responderKey, receive: initiatorKey, handshakeHash }
  }

  #relayHello(version: number | undefined): {
    versionMin: number
    versionMax: number
    version: number
    software: string
    certificate: Uint8Array
  } {
    const { min, max } = this.#versions
    const { software } = this.#options
    return { versionMin: min, versionMax: max, version: version ?? 0, software, certificate: this.#identity.certificate }
  }

  #version(hello: ClientHello): number | undefined {
    return commonVersion(this.#versions, { min: hello.versionMin, max: hello.versionMax })
  }

  #versionRefusal(hello: ClientHello): Refusal {
    return versionRefusal(
      { software: this.#options.software, versions: this.#versions },
      { software: printable(hello.software), versions: { min: hello.versionMin, max: hello.versionMax } },
    )
  }
}

function refuse(code: string, message: string): { refusal: Refusal } {
  return { refusal: { code, message } }
}

function credentialOf(proof: ClientProof): Credential | undefined {
  const credential = proof.credential?.credential
  switch (credential?.case) {
    case 'certificate':
      return { type: 'certificate', certificate: credential.value }
    case 'token':
      return { type: 'token', token: credential.value }
    case 'enrol':
      return { type: 'enrol', body: credential.value }
    case 'psk':
      return { type: 'psk', keyId: credential.value }
    default:
      return undefined
  }
}
