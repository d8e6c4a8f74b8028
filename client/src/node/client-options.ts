/** What a client is opened with, and how the names of files become what the machine needs. */

import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { KeyMode, MeshTrust, RelayEntry, UserIdentity } from '@sennit/protocol'
import { readCredential, readRelayList } from '@sennit/protocol/node'
import type { ClientMachineOptions } from '../core/client/types.ts'
import type { DialDeadlines, TlsSettings } from './carrier.ts'
import type { Compress } from './compression.ts'
import type { ProxySettings } from './proxy.ts'

/** Who the client is, and the mesh it believes in. */
export interface ClientCredential {
  readonly trust: MeshTrust
  readonly identity: UserIdentity
}

export interface ClientOptions extends ProxySettings {
  /** The credential file that `sennit user add` wrote, or what is in it. */
  readonly credential: string | ClientCredential
  /**
   * The relays, best first: a signed relay list (`relays.list`; read again when it changes), the mesh directory it lies in, or the entries.
   * Own measurements take over from the order as they come.
   */
  readonly relays: string | readonly RelayEntry[]
  /** Part of the client's name, so that one user can run several: `bob/laptop`. @default '' */
  readonly label?: string
  /** Carriers that may be used, the preferred one first: `upgrade`, `http`, `grpc`. @default all three, in this order */
  readonly carriers?: readonly string[]
  /** TLS settings of `https:` relays. */
  readonly tls?: TlsSettings
  /** Attach to every relay of the list and stay, instead of the best three. Costs a socket each. @default false */
  readonly attachAll?: boolean
  /**
   * How connections use their relays, such as `mirror(2)` or `send=spread,receive=best;short=fail` (docs/client.md has them all): every
   * connection this client calls, and those that call it and do not say. @default 'best'
   */
  readonly paths?: string
  /**
   * Who may read what is sent, for calls and listenings that do not say: `blind` (nobody on the way), `relay` (the relays are given the key), `none`
   * (everybody on the way; the data is not protected). One, or all that are acceptable: the best that the other end accepts too is taken. @default 'blind'
   */
  readonly keyMode?: KeyMode | readonly KeyMode[]
  /**
   * Compresses messages (not streams), for connections that do not say: `true` every one, `'auto'` those where it pays; both also ask the other end to.
   * `false` never, even when the other end asks. Never put a secret and text of a stranger's choice into one compressed message: docs/security.md.
   * @default off, and as the other end asks
   */
  readonly compress?: Compress
  /**
   * How long `Client.open` waits for the first relay, in milliseconds. Too small: a relay that restarts, or a user that was just added, is not
   * waited for. 0 does not wait at all: the client is open at once, attached or not. @default 6 000
   */
  readonly openMs?: number
  /** Replaces a relay's URL just before it is dialled, for tests that put a bad network between. @default the URL itself */
  readonly dialThrough?: (url: string, relayId: string) => string
  /** Time limits of a dial. @default 3 s to resolve a name, 1.5 s for each further step */
  readonly deadlines?: DialDeadlines
  /** Told to relays, and shown in their logs. @default 'sennit' */
  readonly software?: string
  /** Limits of every connection: receive memory, longest message, streams, window. */
  readonly streams?: ClientMachineOptions['streams']
  /** The machine's own numbers; for tests and measurements. */
  readonly tuning?: ClientMachineOptions['tuning']
  readonly connectionTuning?: ClientMachineOptions['connectionTuning']
}

/** @throws SennitError `credential_unreadable`, `certificate_*` and whatever the reader of the file says */
export function credentialOf(options: ClientOptions): ClientCredential {
  return typeof options.credential === 'string' ? readCredential(options.credential) : options.credential
}

/** The relay entries; and, where they come from a file, its path. @throws SennitError of the reader of the file */
export function relaysOf(options: ClientOptions, trust: MeshTrust): { relays: readonly RelayEntry[]; file?: string } {
  if (typeof options.relays !== 'string') return { relays: options.relays }
  const isDirectory = statSync(options.relays, { throwIfNoEntry: false })?.isDirectory() === true
  const file = isDirectory ? join(options.relays, 'relays.list') : options.relays
  return { relays: readRelayList(file, trust).relays, file }
}
