/** The listening end of the end handshake. */

import { ByteReader } from '../byte-reader.ts'
import { equalBytes } from '../bytes.ts'
import { SennitError } from '../errors.ts'
import { HandshakeState } from '../noise/handshake-state.ts'
import { deriveSessionSecrets } from '../session/secrets.ts'
import { checkPeer, chooseKeyMode, chooseVersion, splitName } from './checks.ts'
import { checkIdentity, proveIdentity } from './identity-proof.ts'
import { decodeMessage1, encodeAcceptance, noiseOf, prologueOf, readCredential, withVariant } from './messages.ts'
import { type EndHandshakeOptions, type EndHandshakeResult, type EndRequest, KEY_MODE, type KeyMode } from './types.ts'

/** One attempt of a caller. Nothing may be registered, displaced or allocated for it before {@link confirm} returned. */
export class ListenerHandshake {
  readonly #options: EndHandshakeOptions
  #answered:
    | {
        readonly message1: Uint8Array
        readonly message2: Uint8Array
        readonly state: HandshakeState
        readonly request: EndRequest
        readonly keyMode: KeyMode
      }
    | undefined
  #done: { readonly message3: Uint8Array; readonly result: EndHandshakeResult } | undefined

  constructor(options: EndHandshakeOptions) {
    this.#options = options
  }

  /** What the caller asked for; anybody may have written it until {@link confirm} returned. */
  get request(): EndRequest | undefined {
    return this.#answered?.request
  }

  /**
   * The second message. The same first message again (over another relay) gives the same bytes; another one throws `handshake_done`.
   * @throws SennitError `application_mismatch`, `name_mismatch`, `version_incompatible`, `key_mode_mismatch`, `malformed`, …
   */
  answer(message1: Uint8Array): Uint8Array {
    if (this.#answered !== undefined) {
      if (equalBytes(this.#answered.message1, message1)) return this.#answered.message2
      throw new SennitError('handshake_done', 'this attempt was answered already, and these are other bytes')
    }
    const { crypto, identity, connectionId, keyModes, instance, features = 0 } = this.#options
    const { request, head, noise } = decodeMessage1(message1)
    this.#checkRequest(request)
    const version = chooseVersion(request.versionMin, request.versionMax)
    const keyMode = chooseKeyMode(request, keyModes)
    const state = new HandshakeState({
      crypto,
      pattern: 'XX',
      role: 'responder',
      prologue: prologueOf(connectionId, head),
      staticKey: identity.endKey,
    })
    state.readMessage(noise)
    const payload = encodeAcceptance({
      version,
      keyMode: KEY_MODE[keyMode],
      instance: instance ?? new Uint8Array(16),
      label: splitName(this.#options.listener).label,
      certificate: identity.certificate,
      proof: proveIdentity(crypto, identity, state.handshakeHash),
      features,
    })
    const message2 = withVariant(state.writeMessage(payload))
    this.#answered = { message1: message1.slice(), message2, state, request, keyMode }
    return message2
  }

  /**
   * Takes the third message. A bad one throws and changes nothing; the same good one again gives the same result.
   * @throws SennitError `handshake_failed` before {@link answer}
   */
  confirm(message3: Uint8Array): EndHandshakeResult {
    if (this.#answered === undefined) throw new SennitError('handshake_failed', 'the third message came before the first')
    if (this.#done !== undefined) {
      if (equalBytes(this.#done.message3, message3)) return this.#done.result
      throw new SennitError('handshake_done', 'this attempt was confirmed already, by other bytes')
    }
    const { request, keyMode } = this.#answered
    const state = this.#answered.state.clone()
    const heard = state.handshakeHash
    const { certificate, proof } = readCredential(new ByteReader(state.readMessage(noiseOf(message3))))
    const peer = checkPeer(this.#options, certificate, state.remoteStatic!, request.caller)
    checkIdentity(this.#options.crypto, peer, heard, proof)
    const result: EndHandshakeResult = {
      secrets: deriveSessionSecrets(this.#options.crypto, 'listener', state.keys(), this.#options.connectionId, {
        keyMode,
        relaySecret: request.relaySecret,
      }),
      peer,
      peerLabel: splitName(request.caller).label,
      peerInstance: request.instance,
      keyMode,
      peerFeatures: request.features,
    }
    this.#done = { message3: message3.slice(), result }
    return result
  }

  #checkRequest(request: EndRequest): void {
    const { application, caller, listener } = this.#options
    if (request.application !== application) {
      throw new SennitError('application_mismatch', `expected a call for '${application}', found one for '${request.application}'`, {
        expected: application,
        found: request.application,
      })
    }
    if (request.caller !== caller) {
      throw new SennitError('name_mismatch', `expected a call of '${caller}', found one of '${request.caller}'`, {
        expected: caller,
        found: request.caller,
      })
    }
    const own = splitName(listener)
    const asked = splitName(request.listener)
    if (asked.user !== own.user || (asked.label !== '' && asked.label !== own.label)) {
      throw new SennitError('name_mismatch', `expected a call for '${listener}', found one for '${request.listener}'`, {
        expected: listener,
        found: request.listener,
      })
    }
  }
}
