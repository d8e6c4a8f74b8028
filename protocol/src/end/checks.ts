/** What each end demands of the other's certificate and words. */

import { equalBytes } from '../bytes.ts'
import { ProtocolError, SennitError } from '../errors.ts'
import { endVersion } from '../session/packet-sealer.ts'
import { certificateAllows, checkCertifiedKey, verifyUserCertificate } from '../trust/certificates.ts'
import { isName } from '../trust/names.ts'
import type { UserCertificate } from '../trust/types.ts'
import { type EndHandshakeOptions, type EndRequest, KEY_MODE, type KeyMode } from './types.ts'

/** User and label of `alice` or `alice/laptop`. */
export function splitName(name: string): { user: string; label: string } {
  const slash = name.indexOf('/')
  return slash < 0 ? { user: name, label: '' } : { user: name.slice(0, slash), label: name.slice(slash + 1) }
}

/**
 * The peer's certificate, after every check: mesh, signature, time, revocation, key, pin, user, application.
 * @throws SennitError with the code of the first that fails
 */
export function checkPeer(options: EndHandshakeOptions, certificate: Uint8Array, peerKey: Uint8Array, peerName: string): UserCertificate {
  const { trust, crypto, nowMs, application, pinnedEndKey, revoked } = options
  const peer = verifyUserCertificate(trust, certificate, nowMs, crypto)
  checkCertifiedKey(peer.endKey, peerKey, `end-to-end key of ${peer.user}`)
  const { user } = splitName(peerName)
  if (peer.user !== user) {
    throw new SennitError('name_mismatch', `expected the certificate of '${user}', found that of '${peer.user}'`, {
      expected: user,
      found: peer.user,
    })
  }
  if (pinnedEndKey !== undefined && !equalBytes(pinnedEndKey, peerKey)) {
    throw new SennitError(
      'pinned_key_mismatch',
      `expected the pinned key of '${user}', found another: ask the other side before you accept it`,
      {
        user,
      },
    )
  }
  if (!certificateAllows(peer, application)) {
    throw new SennitError('application_not_allowed', `the certificate of '${user}' does not allow application '${application}'`, {
      user,
      application,
    })
  }
  if (revoked?.(peer) === true) throw new SennitError('certificate_revoked', `the certificate of '${user}' was taken back`, { user })
  return peer
}

/** The label a listener gave itself: a name or none, and the one asked for if one was. @throws SennitError `malformed`, `name_mismatch` */
export function checkLabel(label: string, askedName: string): void {
  if (label !== '' && !isName(label)) throw new ProtocolError('malformed', 'expected a label spelled as names are, or none', { label })
  const asked = splitName(askedName).label
  if (asked !== '' && asked !== label) {
    throw new SennitError('name_mismatch', `expected '${askedName}', found label '${label}'`, { expected: asked, found: label })
  }
}

/** @throws SennitError `bad_key_mode` when there is no mode, or something that is none */
export function checkKeyModes(keyModes: readonly KeyMode[]): void {
  if (keyModes.length === 0 || keyModes.some((mode) => KEY_MODE[mode] === undefined)) {
    throw new SennitError('bad_key_mode', `expected key modes among blind, relay and none, found ${keyModes.join(', ') || 'no mode'}`, {
      keyModes,
    })
  }
}

/** The bits of an offer. @throws SennitError `bad_key_mode` */
export function offerOf(keyModes: readonly KeyMode[]): number {
  checkKeyModes(keyModes)
  return keyModes.reduce((bits, mode) => bits | KEY_MODE[mode], 0)
}

/** The best mode both accept. @throws SennitError `key_mode_mismatch` when there is none */
export function chooseKeyMode(request: EndRequest, accepted: readonly KeyMode[]): KeyMode {
  // Without the secret there is nothing to make the keys of `relay` from.
  const offered = request.relaySecret === undefined ? request.keyModes & ~KEY_MODE.relay : request.keyModes
  const common = (['blind', 'relay', 'none'] as const).find((mode) => (offered & KEY_MODE[mode]) !== 0 && accepted.includes(mode))
  if (common === undefined) {
    throw new SennitError('key_mode_mismatch', `expected a key mode among ${accepted.join(', ')}, the other end offers bits ${offered}`, {
      offered,
      accepted,
    })
  }
  return common
}

/** The mode of the answer. @throws SennitError `key_mode_mismatch` unless it was offered */
export function answeredKeyMode(answered: number, offered: readonly KeyMode[]): KeyMode {
  const mode = offered.find((candidate) => KEY_MODE[candidate] === answered)
  if (mode === undefined)
    throw new SennitError('key_mode_mismatch', `the other end chose key mode ${answered}, which was not offered`, { answered })
  return mode
}

/** The version both speak. @throws ProtocolError `version_incompatible` */
export function chooseVersion(versionMin: number, versionMax: number): number {
  if (versionMin <= endVersion && endVersion <= versionMax) return endVersion
  throw new ProtocolError(
    'version_incompatible',
    `expected end-to-end version ${endVersion}, the other end speaks ${versionMin} to ${versionMax}: update the older one`,
    { versionMin, versionMax, own: endVersion },
  )
}
