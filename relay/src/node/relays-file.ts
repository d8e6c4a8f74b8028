/** The signed relay list on disk, for the clients that ask: read at start and again when it changes. A list that does not verify is never handed out. */

import { readFileSync } from 'node:fs'
import { type CryptoProvider, type MeshTrust, verifyRelayList } from '@sennit/protocol'
import type { HandedList } from '../core/index.ts'

/** The list in `file`. @throws SennitError what `verifyRelayList` says, or the system's error when there is no file */
export function readRelaysFile(file: string, trust: MeshTrust, crypto: CryptoProvider, nowMs: number): HandedList {
  const bytes = readFileSync(file)
  return { version: verifyRelayList(trust, bytes, nowMs, crypto).version, bytes }
}
