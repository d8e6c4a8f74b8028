/**
 * A mesh on disk.
 *
 * ```
 * mesh.json                 public: mesh id, root key, issuers signed by the root
 * root/root.key             belongs offline
 * issuers/{relay,user,list}.key
 * relays/rN.toml rN.key rN.cert
 * relays.list users.list    signed
 * roster.json               the relays as the operator knows them, of which a directory's list is made
 * users/NAME.cred           keys and certificate of one user
 * run/                      control sockets
 * ```
 * Keys and credentials are 0600, their directories 0700. Every write is atomic, and one process writes at a time.
 */

import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { CryptoProvider, KeyPair } from '../crypto.ts'
import { SennitError } from '../errors.ts'
import { certificateLifeMs, issueRelayCertificate } from '../trust/certificates.ts'
import { verifyRelayList } from '../trust/lists.ts'
import { issueMesh, issuerLifeMs } from '../trust/mesh.ts'
import { checkName } from '../trust/names.ts'
import type { SeenRelay } from '../trust/seen-relays.ts'
import type { MeshTrust, RelayEntry, RelayList } from '../trust/types.ts'
import { publicMode, readNamedFile, withLock, writeFileAtomically } from './atomic-file.ts'
import { nodeCrypto } from './crypto.ts'
import { readKeyFile, readMeshTrust, writeCertificateFile, writeKeyFile } from './key-files.ts'
import { change, clockSkewMs, listLifeMs, readRelayList, saveRelays, saveUsers } from './mesh-lists.ts'
import { paths } from './mesh-paths.ts'
import { listOf, type RelaySpec, relayToml } from './relay-toml.ts'
import { entriesSeen, readRoster, sameEntries, writeRoster } from './roster.ts'

export type { RelaySpec } from './relay-toml.ts'

export interface MeshOptions {
  readonly relays: readonly RelaySpec[]
  readonly crypto?: CryptoProvider
  readonly nowMs?: number
}

/** Makes a mesh in a directory that is missing or empty. @throws SennitError `directory_not_empty`, `bad_name` */
export async function initMesh(directory: string, options: MeshOptions): Promise<MeshTrust> {
  const { crypto = nodeCrypto(), nowMs = Date.now() } = options
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  return await withLock(directory, () => {
    const found = readdirSync(directory).filter((name) => name !== '.lock')
    if (found.length > 0) {
      throw new SennitError('directory_not_empty', `expected ${directory} to be missing or empty, found ${found.length} entries in it`, {
        directory,
      })
    }
    const ids = options.relays.map((relay) => checkName('a relay id', relay.relayId))
    if (new Set(ids).size !== ids.length) throw new SennitError('bad_name', 'expected each relay id once, found one twice', { ids })
    const mesh = issueMesh(crypto, nowMs - clockSkewMs, issuerLifeMs)
    for (const name of ['root', 'issuers', 'users', 'run']) mkdirSync(join(directory, name), { mode: 0o700 })
    mkdirSync(join(directory, 'relays'), { mode: 0o755 })
    writeKeyFile(paths(directory).rootKey, 'mesh root', mesh.keys.root)
    writeKeyFile(paths(directory).relayIssuerKey, 'relay issuer', mesh.keys.relayIssuer)
    writeKeyFile(paths(directory).userIssuerKey, 'user issuer', mesh.keys.userIssuer)
    writeKeyFile(paths(directory).listSignerKey, 'list signer', mesh.keys.listSigner)
    const entries = options.relays.map((relay) => setUpRelay(directory, mesh.trust, relay, crypto, nowMs))
    saveRelays(directory, mesh.trust, { version: 1, expiresMs: nowMs + listLifeMs, relays: entries }, crypto)
    saveUsers(directory, mesh.trust, { version: 1, expiresMs: nowMs + listLifeMs, users: [] }, crypto)
    writeRoster(directory, entries)
    // Last: a directory with mesh.json is whole.
    writeFileAtomically(paths(directory).mesh, mesh.document, publicMode)
    return mesh.trust
  })
}

/** Adds a relay: key, certificate, configuration, and its entry in the list, unless it registers in a directory: then the signer puts it there. @throws SennitError `relay_exists`, `bad_name` */
export async function addRelay(
  directory: string,
  relay: RelaySpec,
  options: { readonly crypto?: CryptoProvider; readonly nowMs?: number } = {},
): Promise<RelayEntry> {
  return await changeRelays(directory, options, ({ crypto, nowMs, trust, list, save }) => {
    if (list.relays.some(({ relayId }) => relayId === relay.relayId)) {
      throw new SennitError('relay_exists', `relay '${relay.relayId}' is in the list already`, { relayId: relay.relayId })
    }
    const roster = readRoster(directory, list.relays)
    const entry = setUpRelay(directory, trust, relay, crypto, nowMs)
    writeRoster(directory, [...roster.filter(({ relayId }) => relayId !== entry.relayId), entry])
    // One that registers gets into the list when it is there.
    if (relay.directory !== undefined) return entry
    save([...list.relays, entry])
    return entry
  })
}

/**
 * Takes a relay out of the mesh: clients leave it as soon as they have the new list. Its files stay; its certificate is worth nothing to clients
 * that have a list.
 * @throws SennitError `relay_unknown`, `relay_last` when it is the only one
 */
export async function removeRelay(
  directory: string,
  relayId: string,
  options: { readonly crypto?: CryptoProvider; readonly nowMs?: number } = {},
): Promise<void> {
  await changeRelays(directory, options, ({ list, save }) => {
    const others = (entries: readonly RelayEntry[]): RelayEntry[] => entries.filter((entry) => entry.relayId !== relayId)
    const roster = readRoster(directory, list.relays)
    if (others(roster).length === roster.length && others(list.relays).length === list.relays.length) {
      throw new SennitError('relay_unknown', `expected a relay of the mesh, found no '${relayId}' in it`, { relayId })
    }
    const relays = others(list.relays)
    if (relays.length === 0)
      throw new SennitError('relay_last', `relay '${relayId}' is the only one of the list; add another first`, { relayId })
    writeRoster(directory, others(roster))
    save(relays)
  })
}

/** What became of {@link signRelays}. */
export interface SignedRelays {
  /** The list in force, new or not. */
  readonly list: RelayList
  readonly signed: Uint8Array
  /** It says something new, or was due for a new end. */
  readonly changed: boolean
  /** Relays that the directory sees and the operator does not know; they are not in the list. */
  readonly strangers: readonly string[]
}

/**
 * Signs the relay list anew, when there is a reason: of the operator's relays those that `seen` names (all of them when it is left out). An empty
 * sight changes nothing: a list without a relay would end the mesh.
 * @param options.lifeMs how long the list holds; it is renewed when half of it is over @default a year
 */
export async function signRelays(
  directory: string,
  options: {
    readonly seen?: readonly SeenRelay[]
    readonly lifeMs?: number
    readonly crypto?: CryptoProvider
    readonly nowMs?: number
  } = {},
): Promise<SignedRelays> {
  const { crypto = nodeCrypto(), nowMs = Date.now(), lifeMs = listLifeMs, seen } = options
  return await change(directory, () => {
    const trust = readMeshTrust(paths(directory).mesh, crypto, nowMs)
    const file = paths(directory).relays
    // Its signature is checked, its end is not: a list that is over is the very thing to renew.
    const old = verifyRelayList(trust, readNamedFile(file, 'a relay list'), 0, crypto)
    const roster = readRoster(directory, old.relays)
    const { relays, strangers } = seen === undefined ? { relays: roster, strangers: [] } : entriesSeen(roster, seen)
    const kept = relays.length === 0 ? old.relays : relays
    const due = old.expiresMs - nowMs < lifeMs / 2
    if (!due && sameEntries(kept, old.relays)) return { list: old, signed: readNamedFile(file, 'a relay list'), changed: false, strangers }
    const list = { version: old.version + 1, expiresMs: nowMs + lifeMs, relays: kept }
    saveRelays(directory, trust, list, crypto)
    return { list, signed: readNamedFile(file, 'a relay list'), changed: true, strangers }
  })
}

/**
 * Gives a relay a new key and certificate, in its files and in the list; the relay reads them when it starts again.
 * @throws SennitError `relay_unknown`
 */
export async function renewRelayKey(
  directory: string,
  relayId: string,
  options: { readonly crypto?: CryptoProvider; readonly nowMs?: number } = {},
): Promise<void> {
  await changeRelays(directory, options, ({ crypto, nowMs, trust, list, save }) => {
    if (!list.relays.some((entry) => entry.relayId === relayId)) {
      throw new SennitError('relay_unknown', `expected a relay of the list, found no '${relayId}' in it`, { relayId })
    }
    const { publicKey: key } = issueRelayKey(directory, trust, relayId, crypto, nowMs)
    const rekeyed = (entry: RelayEntry): RelayEntry => (entry.relayId === relayId ? { ...entry, key } : entry)
    writeRoster(directory, readRoster(directory, list.relays).map(rekeyed))
    save(list.relays.map(rekeyed))
  })
}

interface RelaysChange {
  readonly crypto: CryptoProvider
  readonly nowMs: number
  readonly trust: MeshTrust
  /** The list in force. */
  readonly list: RelayList
  /** Signs these relays as the next list. */
  save(relays: readonly RelayEntry[]): void
}

/** As {@link change}, with the list of relays read and checked. */
async function changeRelays<T>(
  directory: string,
  options: { readonly crypto?: CryptoProvider; readonly nowMs?: number },
  work: (relays: RelaysChange) => T,
): Promise<T> {
  const { crypto = nodeCrypto(), nowMs = Date.now() } = options
  return await change(directory, () => {
    const trust = readMeshTrust(paths(directory).mesh, crypto, nowMs)
    const list = readRelayList(paths(directory).relays, trust, crypto, nowMs)
    const save = (relays: readonly RelayEntry[]): void =>
      saveRelays(directory, trust, { version: list.version + 1, expiresMs: nowMs + listLifeMs, relays }, crypto)
    return work({ crypto, nowMs, trust, list, save })
  })
}

function setUpRelay(directory: string, trust: MeshTrust, relay: RelaySpec, crypto: CryptoProvider, nowMs: number): RelayEntry {
  const relayId = checkName('a relay id', relay.relayId)
  const { publicKey } = issueRelayKey(directory, trust, relayId, crypto, nowMs)
  writeFileAtomically(`${join(directory, 'relays', relayId)}.toml`, relayToml(relayId, relay), publicMode)
  return {
    relayId,
    urls: listOf(relay.url),
    key: publicKey,
    ...(relay.failureDomain === undefined ? {} : { failureDomain: relay.failureDomain }),
    ...(relay.zone === undefined ? {} : { zone: relay.zone }),
    ...(relay.traits === undefined ? {} : { traits: relay.traits }),
  }
}

function issueRelayKey(directory: string, trust: MeshTrust, relayId: string, crypto: CryptoProvider, nowMs: number): KeyPair {
  const staticKey = crypto.generateX25519()
  const certificate = issueRelayCertificate(crypto, readKeyFile(paths(directory).relayIssuerKey).privateKey, {
    meshId: trust.meshId,
    relayId,
    staticKey: staticKey.publicKey,
    notBeforeMs: nowMs - clockSkewMs,
    notAfterMs: nowMs - clockSkewMs + certificateLifeMs,
  })
  const base = join(directory, 'relays', relayId)
  writeKeyFile(`${base}.key`, `relay ${relayId}`, staticKey)
  writeCertificateFile(`${base}.cert`, certificate)
  return staticKey
}
