/** The keys of a connection, from the end handshake: epoch roots per direction and class, and the secret behind path tags. */

import { concat, utf8 } from '../bytes.ts'
import { type CryptoProvider, hkdf, keyBytes } from '../crypto.ts'
import { SennitError } from '../errors.ts'

export type EndRole = 'caller' | 'listener'

/** What a finished Noise handshake leaves. */
export interface HandshakeKeys {
  /** Noise's first transport key: initiator to responder. */
  readonly initiatorKey: Uint8Array
  /** Noise's second transport key: responder to initiator. */
  readonly responderKey: Uint8Array
  /** Names this one handshake and everything said in it. */
  readonly handshakeHash: Uint8Array
}

export interface SessionSecrets {
  readonly role: EndRole
  /** 16 bytes. */
  readonly connectionId: Uint8Array
  readonly handshakeHash: Uint8Array
  /** Root of epoch 0 for control and loose packets of this end. */
  readonly sendControlKey: Uint8Array
  readonly receiveControlKey: Uint8Array
  /** Root of epoch 0 for data packets and datagrams of this end: the key of the key mode. */
  readonly sendDataKey: Uint8Array
  readonly receiveDataKey: Uint8Array
  /** Authenticates the shares of packets that this end sends over several relays, so that the one that changed its share is named. */
  readonly sendShareKey: Uint8Array
  readonly receiveShareKey: Uint8Array
  /** From it both ends make the tags by which a relay couples their joins. */
  readonly pathSecret: Uint8Array
}

/** Bytes of a connection id. */
export const connectionIdBytes = 16

/** Bytes of the tag in a join: 128 bits can not be guessed on a relay. */
export const joinTagBytes = 16

/** Bytes of the secret that the mode `relay` passes through the relays. */
export const relaySecretBytes = 32

/** What the data keys come from: the handshake (`blind`), a secret the relays were given (`relay`), or nothing secret at all (`none`). */
export interface DataKeySource {
  readonly keyMode: 'blind' | 'relay' | 'none'
  /** For `relay`: 32 bytes. */
  readonly relaySecret?: Uint8Array | undefined
}

/** All secrets of the connection: HKDF over both Noise keys, salted by the handshake hash, bound to the connection id. @throws SennitError `internal` without the secret of `relay` */
export function deriveSessionSecrets(
  crypto: CryptoProvider,
  role: EndRole,
  handshake: HandshakeKeys,
  connectionId: Uint8Array,
  source: DataKeySource = { keyMode: 'blind' },
): SessionSecrets {
  const inputKey = concat([handshake.initiatorKey, handshake.responderKey])
  const derive = (label: string): Uint8Array =>
    hkdf(crypto, handshake.handshakeHash, inputKey, concat([utf8(`sennit e2e 1 ${label}\0`), connectionId]), keyBytes)
  const callerControl = derive('caller control')
  const listenerControl = derive('listener control')
  const dataKey = (label: string): Uint8Array =>
    source.keyMode === 'blind' ? derive(label) : openDataKey(crypto, source, label, connectionId)
  const callerData = dataKey('caller data')
  const listenerData = dataKey('listener data')
  const callerShare = derive('caller share')
  const listenerShare = derive('listener share')
  const calls = role === 'caller'
  return {
    role,
    connectionId,
    handshakeHash: handshake.handshakeHash,
    sendControlKey: calls ? callerControl : listenerControl,
    receiveControlKey: calls ? listenerControl : callerControl,
    sendDataKey: calls ? callerData : listenerData,
    receiveDataKey: calls ? listenerData : callerData,
    sendShareKey: calls ? callerShare : listenerShare,
    receiveShareKey: calls ? listenerShare : callerShare,
    pathSecret: derive('path'),
  }
}

/** From what others on the way know too. It still catches accidents, and one wire format serves all modes. */
function openDataKey(crypto: CryptoProvider, source: DataKeySource, label: string, connectionId: Uint8Array): Uint8Array {
  const { keyMode, relaySecret } = source
  const inputKey = keyMode === 'relay' ? relaySecret : new Uint8Array(relaySecretBytes)
  if (inputKey?.length !== relaySecretBytes) throw new SennitError('internal', `expected a relay secret of ${relaySecretBytes} bytes`)
  return hkdf(crypto, connectionId, inputKey, utf8(`sennit e2e 1 ${keyMode} ${label}`), keyBytes)
}

/** Bytes that one step of a rotation draws: when, and where to. */
const rotationBytes = 8

/**
 * One step of the rotation of a direction: two numbers in [0, 1) that both ends can work out and nobody else, `when` for the length of the step
 * and `where` for the relay of the next one. @param sender who sends in this direction
 */
export function rotationStep(
  crypto: CryptoProvider,
  secrets: SessionSecrets,
  sender: EndRole,
  step: number,
): { readonly when: number; readonly where: number } {
  const bytes = hkdf(crypto, secrets.connectionId, secrets.pathSecret, utf8(`sennit rotate 1\0${sender}\0${step}`), rotationBytes)
  const share = (at: number): number => ((bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!) / 0x100_0000
  return { when: share(0), where: share(4) }
}

/** The tag both ends join with at one relay. Tags differ per relay, so one seen at a relay is useless at another. */
export function joinTag(crypto: CryptoProvider, secrets: SessionSecrets, relayId: string): Uint8Array {
  return hkdf(crypto, secrets.connectionId, secrets.pathSecret, utf8(`sennit join 1\0${relayId}`), joinTagBytes)
}
