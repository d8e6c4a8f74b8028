/** Reads a signed relay list again when its file changes, so that relays come and go without a restart of the client. */

import { statSync } from 'node:fs'
import type { MeshTrust, RelayEntry } from '@sennit/protocol'
import { readRelayList } from '@sennit/protocol/node'

/** A list changes by hand or by a deployment; nobody waits for it. Looking costs one `stat`. */
const lookEveryMs = 5_000

/** @returns a function that ends the watching */
export function watchRelayList(file: string, trust: MeshTrust, onChange: (relays: readonly RelayEntry[]) => void): () => void {
  let seen = stampOf(file)
  const timer = setInterval(() => {
    const stamp = stampOf(file)
    if (stamp === undefined || stamp === seen) return
    seen = stamp
    try {
      onChange(readRelayList(file, trust).relays)
    } catch {
      // A list that is forged, expired or half written changes nothing: the one we have stays good until its own end.
    }
  }, lookEveryMs)
  timer.unref()
  return () => clearInterval(timer)
}

function stampOf(file: string): string | undefined {
  const facts = statSync(file, { throwIfNoEntry: false })
  return facts === undefined ? undefined : `${facts.mtimeMs} ${facts.ino} ${facts.size}`
}
