/**
 * Everything a client and a connection tell besides data, in one place. All unions are told apart by `type`; new types may be added, so a
 * listener ignores those it does not know. Times are milliseconds, relays are named by their ids.
 */

import type { ClientEvent as MachineClientEvent } from '../core/client/types.ts'
import type { ConnectionEvent as MachineConnectionEvent, StreamCounts } from '../core/connection/index.ts'

/**
 * Events of `client.on`:
 * - `attached` / `detached`: an attachment to a relay came up, or went, with the reason. Connections survive it.
 * - `dial_failed`: a relay could not be reached on a carrier; the next try comes in `retryInMs`.
 * - `relay_resting`: a relay failed so often that it is left alone for `forMs`.
 * - `relay_draining`: the relay asked its clients to move; they do, without a pause.
 * - `listen_refused`: one relay refused a listening; others may hold it.
 * - `caller_refused`: somebody called and could not prove who they are, or may not.
 * - `refused_by_caller`: a caller was answered and does not take us for who we say we are.
 * - `connect_answer`: what one relay said to a `connect` under way.
 * - `planned`: the two ends of connection `handle` agreed on relays anew, and why.
 * - `relay_crowded`: the relay is over its limit and asked us to use others; we do, where there are any.
 * - the {@link DirectoryEvent}s: where the list of relays came from.
 * - the {@link CredentialEvent}s: what became of the credential.
 */
export type ClientEvent = MachineClientEvent | DirectoryEvent | CredentialEvent

/**
 * - `credential_renewed`: a new credential is in force, from the file or by `client.renew`; its certificate ends at `expiresMs`.
 * - `credential_trouble`: the file changed, and what is in it now cannot be used (unreadable, over, of another user or mesh); the old one stays.
 * - `credential_expires`: the certificate ends within a day, or is `over`: no relay lets the client in any more.
 */
export type CredentialEvent =
  | { readonly type: 'credential_renewed'; readonly expiresMs: number }
  | { readonly type: 'credential_trouble'; readonly file: string; readonly code: string; readonly message: string }
  | { readonly type: 'credential_expires'; readonly expiresMs: number; readonly over: boolean }

/**
 * - `relay_list`: a newer signed list is in force; `source` is a file, Consul, or the relay that handed it out.
 * - `directory_trouble`: a source cannot be asked, or offered a list that is older, forged, over, or another one of the version in force
 *   (`list_conflict`). What runs is not disturbed. What was seen at the start is told to the first listener of `client.on`.
 * - `relay_list_expires`: the list in force ends within a day, or is `over`. What runs goes on; a client that starts then wants a fresh one.
 */
export type DirectoryEvent =
  | { readonly type: 'relay_list'; readonly source: string; readonly version: number; readonly relays: readonly string[] }
  | { readonly type: 'directory_trouble'; readonly source: string; readonly code: string; readonly message: string }
  | { readonly type: 'relay_list_expires'; readonly version: number; readonly expiresMs: number; readonly over: boolean }

/**
 * Events of `connection.on`:
 * - `path_opened`, `path_closed`, `path_bad`, `path_moved`, `failover`: the ways its packets can take, and which one they take now.
 * - `waiting`: data waits, and why: `credit` (the other application does not read), `no_path` (no relay at the moment), `relay_wait` (the
 *   relay's buffer is full), `memory` (our own limit), `paths` (fewer relays than the mode promises). `resumed` ends it.
 * - `paths_short` / `paths_whole`: this direction has fewer paths than its mode promises, or enough again.
 * - `relay_lies`: payloads came over this relay that the other end never sent.
 * - `rekeyed`: the next key epoch began.
 * - `pong`: the answer to a ping.
 * - `message_refused`: the other end did not take a message that was already reported as accepted; `code` says why.
 * - `message_too_large`: the other end sent a longer message than we take, and it was refused.
 * - `closed`: the end, once; the same facts as the promise `connection.closed`.
 */
export type ConnectionEvent =
  | MachineConnectionEvent
  | { readonly type: 'message_refused'; readonly code: string; readonly errorCode: number }
  | { readonly type: 'message_too_large'; readonly bytes: number }
  | ({ readonly type: 'closed' } & CloseInfo)

/** How a connection ended. */
export interface CloseInfo {
  /**
   * `closed` (by us, everything confirmed) and `peer_closed` (by the other end, in order) are the good ones. Others: `aborted`, `superseded` (the
   * other end has a newer connection of this name), `peer_restarted`, `timeout` (120 s without a sign of life), `protocol_error`.
   */
  readonly code: string
  readonly message: string
  /** The other end ended it. */
  readonly remote: boolean
  /** What happened to the bytes of each stream; stream 0 carries the messages. */
  readonly counts: readonly StreamCounts[]
}

/** Whether an end of this code lost nothing. */
export function endedInOrder(code: string): boolean {
  return code === 'closed' || code === 'peer_closed'
}
