/** The signed list of users on disk: read at start, and again within a second of a change. A list that does not verify is never used. */

import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type CryptoProvider, type MeshTrust, SennitError, type UserList, verifyUserList } from '@sennit/protocol'

/** How often the file is looked at. `fs.watch` loses files that are replaced by rename on some systems; a stat costs nothing. */
const lookMs = 250

/** @throws SennitError `config_unreadable` or what `verifyUserList` says, naming the file */
export function readUsersFile(file: string, trust: MeshTrust, crypto: CryptoProvider, nowMs: number): UserList {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (cause) {
    throw new SennitError('config_unreadable', `${file}: ${(cause as Error).message}`, { file }, cause)
  }
  try {
    return verifyUserList(trust, bytes, nowMs, crypto)
  } catch (cause) {
    if (!(cause instanceof SennitError)) throw cause
    throw new SennitError(cause.code, `${file}: ${cause.message}`, { ...cause.facts, file }, cause)
  }
}

/** Calls `changed` whenever the file is another one than before; returns how to stop. */
export function watchFile(file: string, changed: () => void): () => void {
  let last: string | undefined
  let looking = false
  const look = async (): Promise<void> => {
    if (looking) return
    looking = true
    const now = await stat(file, { bigint: true }).then(
      (found) => `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`,
      () => 'missing',
    )
    looking = false
    if (last !== undefined && now !== last) changed()
    last = now
  }
  void look()
  const timer = setInterval(() => void look(), lookMs).unref()
  return () => clearInterval(timer)
}
