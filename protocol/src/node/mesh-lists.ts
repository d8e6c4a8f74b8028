// The signed lists of a mesh on disk: who reads them, who writes them, and that one process writes at a time.
import { existsSync } from 'node:fs'
import type { CryptoProvider } from '../crypto.ts'
import { SennitError } from '../errors.ts'
import { signRelayList, signUserList, verifyRelayList, verifyUserList } from '../trust/lists.ts'
import type { MeshTrust, RelayList, UserList } from '../trust/types.ts'
import { publicMode, readNamedFile, withLock, writeFileAtomically } from './atomic-file.ts'
import { nodeCrypto } from './crypto.ts'
import { readKeyFile } from './key-files.ts'
import { paths } from './mesh-paths.ts'

/** Lists are signed anew with every change; a mesh that nobody changes must not stop within the year. */
export const listLifeMs: number = 366 * 24 * 3_600_000

/** A clock a little behind must not refuse what was signed just now. */
export const clockSkewMs = 300_000

/** Reads and verifies a relay list. @throws SennitError `file_unreadable`, `list_forged`, `list_foreign`, `list_expired` */
export function readRelayList(
  file: string,
  trust: MeshTrust,
  crypto: CryptoProvider = nodeCrypto(),
  nowMs: number = Date.now(),
): RelayList {
  return verifyRelayList(trust, readNamedFile(file, 'a relay list'), nowMs, crypto)
}

/** Reads and verifies a user list. @throws SennitError `file_unreadable`, `list_forged`, `list_foreign`, `list_expired` */
export function readUserList(file: string, trust: MeshTrust, crypto: CryptoProvider = nodeCrypto(), nowMs: number = Date.now()): UserList {
  return verifyUserList(trust, readNamedFile(file, 'a user list'), nowMs, crypto)
}

export async function change<T>(directory: string, work: () => T): Promise<T> {
  if (!existsSync(paths(directory).mesh)) {
    throw new SennitError('file_unreadable', `expected a mesh in ${directory}, found no mesh.json there; 'sennit mesh init' makes one`, {
      directory,
    })
  }
  return await withLock(directory, work)
}

export function saveRelays(directory: string, trust: MeshTrust, relays: RelayList, crypto: CryptoProvider): void {
  const signer = readKeyFile(paths(directory).listSignerKey).privateKey
  writeFileAtomically(paths(directory).relays, signRelayList(crypto, signer, trust.meshId, relays), publicMode)
}

export function saveUsers(directory: string, trust: MeshTrust, users: UserList, crypto: CryptoProvider): void {
  const signer = readKeyFile(paths(directory).listSignerKey).privateKey
  writeFileAtomically(paths(directory).users, signUserList(crypto, signer, trust.meshId, users), publicMode)
}
