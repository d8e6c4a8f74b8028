/**
 * The one error class of Sennit and the table of its codes.
 * A code is stable and may be matched by programs; the message is for people and may change.
 */

/** A stable snake_case code. Those raised by `@sennit/protocol` are listed in {@link errorCodes}; other packages add their own. */
export type ErrorCode = string

/**
 * Codes raised by this package, each with its meaning. `docs/protocol.md` repeats them for writers of other clients.
 * A code is never reused for another meaning.
 */
export const errorCodes: Readonly<Record<string, string>> = {
  malformed: 'bytes of the peer do not follow the layout of their type',
  unsupported: 'the peer demands something this version does not know (an unknown odd frame, an unknown handshake variant)',
  too_large: 'a value of ours is over the limit of its field',
  bad_public_key: 'a public key of the peer is a point that gives no shared secret',
  bad_share_scheme: 'a packet cannot be cut into that many shares',
  not_yet: 'the wire reserves this, and this version refuses it',
  internal: 'a fault of this program, please report it',
  handshake_forged: 'a handshake message did not authenticate: changed on the way, or made with other keys, names or application',
  handshake_done: 'the handshake is complete already, and this message is not the one that completed it',
  handshake_failed: 'the handshake was used in the wrong order',
  version_incompatible: 'the two ends have no protocol version in common',
  name_mismatch: 'the other end is not the user that was asked for',
  application_mismatch: 'the other end talks about another application',
  application_not_allowed: 'the certificate of the other end does not allow this application',
  key_mismatch: 'the certificate does not certify the key that was used',
  pinned_key_mismatch: 'the key of the other end is not the one that was pinned',
  bad_key_mode: 'a key mode is none of blind, relay and none',
  key_mode_mismatch: 'the two ends accept no key mode in common',
  identity_unproved: 'the other end does not hold the identity key that its certificate names',
  certificate_expired: 'a certificate is past its end',
  certificate_not_yet_valid: 'a certificate is before its beginning',
  certificate_foreign: 'a certificate belongs to another mesh',
  certificate_forged: 'the signature of a certificate is wrong',
  certificate_malformed: 'bytes shown as a certificate are none',
  certificate_revoked: 'a certificate was taken back',
  bad_name: 'a user, label or relay name is not spelled as names are',
  list_foreign: 'a signed list belongs to another mesh',
  list_forged: 'the signature of a list is wrong',
  list_expired: 'a signed list is past its end',
  handshake_too_large: 'a hop handshake is longer than any honest one',
  cookie_wrong: 'a client came back with another cookie than a busy relay gave it',
  handshake_timeout: 'the hop handshake took too long',
  relay_mismatch: 'another relay answers at this address',
  out_of_date: 'this program is older than what the relay accepts',
  incompatible: 'client and relay have no hop version in common',
  unexpected_message: 'a hop message came at the wrong time',
  bad_record: 'a hop record does not authenticate or has a wrong layout',
  control_overflow: 'more control messages wait than a link holds',
  write_stalled: 'the carrier took no bytes for too long',
  heartbeat_timeout: 'the other side of the hop did not answer a heartbeat',
  wrong_mesh: 'the relay is not of the mesh the client means',
  refused: 'the other side refused with a code that is none',
  file_unreadable: 'a file cannot be read',
  file_malformed: 'a file does not hold what it should',
  directory_not_empty: 'a new mesh wants an empty directory',
  directory_locked: 'another process is writing in the mesh directory',
  relay_exists: 'the relay is in the list already',
  user_exists: 'the user is registered already',
  user_unknown: 'the user is not registered',
}

/**
 * Every error that Sennit raises. `code` is stable, `facts` holds the values the message talks about, `cause` is kept.
 */
export class SennitError extends Error {
  readonly code: ErrorCode
  readonly facts: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, facts: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = new.target.name
    this.code = code
    this.facts = facts
  }
}

/** The bytes of the peer are wrong. Whoever meets it closes what the bytes came through; it is never our own fault. */
export class ProtocolError extends SennitError {}
