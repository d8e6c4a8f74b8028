/** What a client is opened with, and how the names of files become what the machine needs. */

import net from 'node:net'
import { type KeyMode, type MeshTrust, type RelayEntry, SennitError, type UserIdentity } from '@sennit/protocol'
import { readCredential } from '@sennit/protocol/node'
import type { ClientMachineOptions } from '../core/client/types.ts'
import { mergePolicies, parsePolicy, type RelayPolicy } from '../core/plan/policy.ts'
import type { DialDeadlines, TlsSettings } from './carrier.ts'
import type { Compress } from './compression.ts'
import { RelayDirectory } from './directory/relay-directory.ts'
import type { ProxySettings } from './proxy.ts'

/** Each link costs a socket and a heartbeat at every relay, and a machine with more ways out than that chooses by routes. */
const linksMax = 8

/** Who the client is, and the mesh it believes in. */
export interface ClientCredential {
  readonly trust: MeshTrust
  readonly identity: UserIdentity
  /** What the operator wants of this user's relays, as text. */
  readonly policy?: string
}

export interface ClientOptions extends ProxySettings {
  /**
   * The credential file that `sennit user add` wrote, or what is in it. The file is read again when it changes (`sennit user renew`): the next
   * handshakes use what is new, and what runs goes on. Its policy counts as it was at the start.
   */
  readonly credential: string | ClientCredential
  /**
   * Where the relays come from: a signed relay list (`relays.list`; read again when it changes), the mesh directory it lies in,
   * `consul://host:port/service`, or several of these; relays that the client is attached to hand out newer lists as well. Or the entries
   * themselves, which then stay as they are. Own measurements take over from the order as they come.
   */
  readonly relays: string | readonly string[] | readonly RelayEntry[]
  /**
   * Where the last good signed list is kept, so that a start needs none of the sources. '' keeps none.
   * @default beside the credential file: `bob.cred` keeps `bob.relays`
   */
  readonly relayCache?: string
  /** Part of the client's name, so that one user can run several: `bob/laptop`. @default '' */
  readonly label?: string
  /**
   * Carriers that may be used, the preferred one first: `upgrade`, `http`, `grpc`. By relay id for single relays, `*` for the others:
   * `{ r1: ['http'], '*': ['upgrade', 'grpc'] }`, or the same as text, `r1=http;upgrade,grpc`. A name that is no carrier, or no relay of the list
   * there is at the start, is refused with `bad_carriers`. @default all three, in this order
   */
  readonly carriers?: string | readonly string[] | Readonly<Record<string, readonly string[]>>
  /**
   * Addresses of this machine to dial from. With several (two networks, two providers) every relay is attached to once from each, and a
   * connection may use all of these links; one that fails leaves the others. @default one link, from where the system chooses
   */
  readonly bind?: readonly string[]
  /** TLS settings of `https:` relays. */
  readonly tls?: TlsSettings
  /**
   * How many relays the client sits on: `best` three, `all` of the list (a socket each), or `all-first`: all of them for five seconds, to
   * measure them, and then the best. @default 'best'
   */
  readonly attach?: ClientMachineOptions['attach']
  /**
   * Which relays are wanted: `pin=region:eu,avoid=r9,price=2`, or the same as data, there with criteria of your own (docs/client.md). Too strict:
   * with no pinned relay reachable, connections wait. @default what the credential says, else whatever measures best
   */
  readonly policy?: string | RelayPolicy
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
  readonly dialThrough?: (url: string, relayId: string, localAddress: string | undefined) => string
  /**
   * The time that the client goes by: milliseconds since 1970, never going back, for tests of wrong clocks. Timers still run by the process's own.
   * @default the time of day at the start, and steady from then on
   */
  readonly now?: () => number
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
export function credentialOf({ credential }: Pick<ClientOptions, 'credential'>): ClientCredential {
  return typeof credential === 'string' ? readCredential(credential) : credential
}

/** What is asked of relays: the credential's word, and over it the program's. @throws SennitError `bad_policy` */
export function policyOf(credential: string | undefined, option: string | RelayPolicy | undefined): RelayPolicy {
  return mergePolicies(
    credential === undefined ? undefined : parsePolicy(credential),
    typeof option === 'string' ? parsePolicy(option) : option,
  )
}

/** @throws SennitError `bad_bind` when one is no address, or stands twice */
export function checkBind(addresses: readonly string[]): readonly string[] {
  for (const [place, address] of addresses.entries()) {
    const why = net.isIP(address) === 0 ? 'is no IP address' : addresses.indexOf(address) < place ? 'stands twice' : undefined
    if (why !== undefined)
      throw new SennitError('bad_bind', `bind: expected addresses of this machine such as 192.0.2.7 or 2001:db8::7; "${address}" ${why}`, {
        address,
      })
  }
  if (addresses.length === 0 || addresses.length > linksMax)
    throw new SennitError('bad_bind', `bind: expected 1 to ${linksMax} addresses; found ${addresses.length}`)
  return addresses
}

/** The entries that the program gave itself; undefined when they come from sources. */
export function entriesOf({ relays }: ClientOptions): readonly RelayEntry[] | undefined {
  if (typeof relays === 'string' || typeof relays[0] === 'string') return undefined
  return relays as readonly RelayEntry[]
}

/** Reads all sources. @throws SennitError what the first of them says, when none gives a relay */
export function openDirectory(options: ClientOptions, trust: MeshTrust): Promise<RelayDirectory> {
  const { credential, relays, relayCache, now } = options
  const beside = typeof credential === 'string' ? relayCacheBeside(credential) : ''
  const cacheFile = relayCache ?? beside
  const sources = typeof relays === 'string' ? [relays] : (relays as readonly string[])
  return RelayDirectory.open({ trust, sources, ...(cacheFile === '' ? {} : { cacheFile }), ...(now === undefined ? {} : { now }) })
}

/** Where the client of a credential file keeps its last good relay list. */
export function relayCacheBeside(credentialFile: string): string {
  return `${credentialFile.replace(/\.cred$/, '')}.relays`
}
