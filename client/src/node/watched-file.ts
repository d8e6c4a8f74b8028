/** A file that is looked at now and again. Looking costs one `stat`; a watcher of the system would miss files on network drives, and their folder's exchange. */

import { statSync } from 'node:fs'

/** A file changes by hand or by whoever signs it; a change is to be known within five seconds everywhere. */
const lookEveryMs = 1_000

/** Tells of every change from now on. @returns what ends it */
export function watchFile(file: string, changed: () => void): () => void {
  let seen = stampOf(file)
  const timer = setInterval(() => {
    const stamp = stampOf(file)
    if (stamp === undefined || stamp === seen) return
    seen = stamp
    changed()
  }, lookEveryMs)
  timer.unref()
  return () => clearInterval(timer)
}

function stampOf(file: string): string | undefined {
  const facts = statSync(file, { throwIfNoEntry: false })
  return facts === undefined ? undefined : `${facts.mtimeMs} ${facts.ino} ${facts.size}`
}
