/** A mesh, two users and the two ends of a handshake between them; a test sets only what matters to it. */

import {
  CallerHandshake,
  type CryptoProvider,
  type EndHandshakeOptions,
  issueMesh,
  issueUserCertificate,
  ListenerHandshake,
  type NewMesh,
  SennitError,
  type UserCertificateRequest,
  type UserIdentity,
} from '../src/index.ts'

export const nowMs = 1_800_000_000_000

export interface EndWorld {
  readonly crypto: CryptoProvider
  readonly mesh: NewMesh
  readonly alice: UserIdentity
  readonly bob: UserIdentity
  readonly connectionId: Uint8Array
}

export function endWorld(crypto: CryptoProvider): EndWorld {
  const mesh = issueMesh(crypto, nowMs)
  return { crypto, mesh, alice: userOf(crypto, mesh, 'alice'), bob: userOf(crypto, mesh, 'bob'), connectionId: crypto.randomBytes(16) }
}

export function userOf(crypto: CryptoProvider, mesh: NewMesh, user: string, wishes: Partial<UserCertificateRequest> = {}): UserIdentity {
  const [identityKey, hopKey, endKey] = [crypto.generateEd25519(), crypto.generateX25519(), crypto.generateX25519()]
  const certificate = issueUserCertificate(crypto, mesh.keys.userIssuer.privateKey, {
    meshId: mesh.trust.meshId,
    user,
    identityKey: identityKey.publicKey,
    hopKey: hopKey.publicKey,
    endKey: endKey.publicKey,
    notBeforeMs: nowMs - 1_000,
    notAfterMs: nowMs + 1_000_000,
    ...wishes,
  })
  return { user, identityKey, hopKey, endKey, certificate }
}

export function callerOptions(world: EndWorld, wishes: Partial<EndHandshakeOptions> = {}): EndHandshakeOptions {
  return { ...commonOptions(world), identity: world.alice, listener: 'bob', ...wishes }
}

export function listenerOptions(world: EndWorld, wishes: Partial<EndHandshakeOptions> = {}): EndHandshakeOptions {
  return { ...commonOptions(world), identity: world.bob, listener: 'bob/home', ...wishes }
}

function commonOptions(world: EndWorld): Omit<EndHandshakeOptions, 'identity' | 'listener'> {
  return {
    crypto: world.crypto,
    trust: world.mesh.trust,
    application: 'postgres',
    caller: 'alice/laptop',
    connectionId: world.connectionId,
    keyModes: ['blind'],
    nowMs,
  }
}

export interface Played {
  /** Which step failed, or `done`. */
  readonly step: 'message1' | 'answer' | 'message3' | 'confirm' | 'done'
  readonly code: string
}

/** Plays a whole handshake, each message through `tamper`; tells the step that refused and its code. */
export function play(
  caller: EndHandshakeOptions,
  listener: EndHandshakeOptions,
  tamper: (message: Uint8Array, number: 1 | 2 | 3) => Uint8Array = (message) => message,
): Played {
  let step: Played['step'] = 'message1'
  try {
    const calling = new CallerHandshake(caller)
    const listening = new ListenerHandshake(listener)
    step = 'answer'
    const message2 = listening.answer(tamper(calling.message1, 1))
    step = 'message3'
    const { message3 } = calling.answer(tamper(message2, 2))
    step = 'confirm'
    listening.confirm(tamper(message3, 3))
    return { step: 'done', code: '' }
  } catch (error) {
    if (!(error instanceof SennitError)) throw error
    return { step, code: error.code }
  }
}
