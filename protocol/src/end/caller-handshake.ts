/** The calling end of the end handshake. */

import { concat, equalBytes } from '../bytes.ts'
import { SennitError } from '../errors.ts'
import { HandshakeState } from '../noise/handshake-state.ts'
import { endVersion } from '../session/packet-sealer.ts'
import { deriveSessionSecrets, relaySecretBytes } from '../session/secrets.ts'
import { answeredKeyMode, checkLabel, checkPeer, chooseVersion, offerOf } from './checks.ts'
import { checkIdentity, proveIdentity } from './identity-proof.ts'
import { decodeAcceptance, encodeCredential, encodeHead, noiseOf, prologueOf, withVariant } from './messages.ts'
import type { EndHandshakeOptions, EndHandshakeResult } from './types.ts'

export interface CallerHandshakeResult extends EndHandshakeResult {
  /** Goes to the listener as a packet of kind `handshake` on every circuit, until it confirms. */
  readonly message3: Uint8Array
}

/** One attempt to connect: {@link message1} goes everywhere as it is; the first answer that holds makes the connection. */
export class CallerHandshake {
  /** Goes with the request, the same bytes over every relay. */
  readonly message1: Uint8Array
  readonly #options: EndHandshakeOptions
  readonly #state: HandshakeState
  readonly #relaySecret: Uint8Array | undefined
  #done: { readonly message2: Uint8Array; readonly result: CallerHandshakeResult } | undefined

  /** @throws SennitError `bad_key_mode` */
  constructor(options: EndHandshakeOptions) {
    const {
      crypto,
      identity,
      application,
      caller,
      listener,
      connectionId,
      keyModes,
      instance,
      attempt,
      previous,
      features = 0,
      paths = '',
    } = options
    this.#options = options
    this.#relaySecret = keyModes.includes('relay') ? crypto.randomBytes(relaySecretBytes) : undefined
    const head = encodeHead({
      versionMin: endVersion,
      versionMax: endVersion,
      keyModes: offerOf(keyModes),
      application,
      caller,
      listener,
      instance: instance ?? new Uint8Array(16),
      attempt: attempt ?? 0,
      previous,
      features,
      relaySecret: this.#relaySecret,
      paths,
    })
    this.#state = new HandshakeState({
      crypto,
      pattern: 'XX',
      role: 'initiator',
      prologue: prologueOf(connectionId, head),
      staticKey: identity.endKey,
    })
    this.message1 = concat([head, this.#state.writeMessage(new Uint8Array(0))])
  }

  /**
   * Takes an answer. A bad one throws and changes nothing, so that a lying relay can not spoil the true answer that comes over another.
   * The same good one again gives the same result; another one after it throws `handshake_done`.
   */
  answer(message2: Uint8Array): CallerHandshakeResult {
    if (this.#done !== undefined) {
      if (equalBytes(this.#done.message2, message2)) return this.#done.result
      throw new SennitError('handshake_done', 'this attempt was answered already, by other bytes')
    }
    const state = this.#state.clone()
    const { crypto, identity } = this.#options
    const heard = state.handshakeHash
    const acceptance = decodeAcceptance(state.readMessage(noiseOf(message2)))
    chooseVersion(acceptance.version, acceptance.version)
    const keyMode = answeredKeyMode(acceptance.keyMode, this.#options.keyModes)
    const peer = checkPeer(this.#options, acceptance.certificate, state.remoteStatic!, this.#options.listener)
    checkIdentity(crypto, peer, heard, acceptance.proof)
    checkLabel(acceptance.label, this.#options.listener)
    const proof = proveIdentity(crypto, identity, state.handshakeHash)
    const message3 = withVariant(state.writeMessage(encodeCredential({ certificate: identity.certificate, proof })))
    const result: CallerHandshakeResult = {
      message3,
      secrets: deriveSessionSecrets(crypto, 'caller', state.keys(), this.#options.connectionId, {
        keyMode,
        relaySecret: this.#relaySecret,
      }),
      peer,
      peerLabel: acceptance.label,
      peerInstance: acceptance.instance,
      keyMode,
      peerFeatures: acceptance.features,
    }
    this.#done = { message2: message2.slice(), result }
    return result
  }
}
