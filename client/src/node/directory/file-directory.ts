/** A signed relay list in a file, read again when the file changes, so that relays come and go without a restart of the client. */

import { statSync } from 'node:fs'
import { SennitError } from '@sennit/protocol'
import { readNamedFile } from '@sennit/protocol/node'
import type { Directory, DirectoryListener, DirectoryNews } from './directory.ts'

/** A list changes by hand or by the signer; a change is to be known within five seconds everywhere, and looking costs one `stat`. */
const lookEveryMs = 1_000

export class FileDirectory implements Directory {
  readonly name: string
  readonly #file: string

  constructor(file: string) {
    this.#file = file
    this.name = `file ${file}`
  }

  /** @throws SennitError `file_unreadable` */
  async read(): Promise<DirectoryNews> {
    return { signed: readNamedFile(this.#file, 'a relay list') }
  }

  watch(listener: DirectoryListener): () => void {
    let seen = stampOf(this.#file)
    const timer = setInterval(() => {
      const stamp = stampOf(this.#file)
      if (stamp === undefined || stamp === seen) return
      seen = stamp
      try {
        listener.news({ signed: readNamedFile(this.#file, 'a relay list') })
      } catch (error) {
        if (!(error instanceof SennitError)) throw error
        listener.trouble(error)
      }
    }, lookEveryMs)
    timer.unref()
    return () => clearInterval(timer)
  }

  close(): void {
    // Nothing is held open.
  }
}

function stampOf(file: string): string | undefined {
  const facts = statSync(file, { throwIfNoEntry: false })
  return facts === undefined ? undefined : `${facts.mtimeMs} ${facts.ino} ${facts.size}`
}
