/** A signed relay list in a file, read again when the file changes, so that relays come and go without a restart of the client. */

import { SennitError } from '@sennit/protocol'
import { readNamedFile } from '@sennit/protocol/node'
import { watchFile } from '../watched-file.ts'
import type { Directory, DirectoryListener, DirectoryNews } from './directory.ts'

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
    return watchFile(this.#file, () => {
      try {
        listener.news({ signed: readNamedFile(this.#file, 'a relay list') })
      } catch (error) {
        if (!(error instanceof SennitError)) throw error
        listener.trouble(error)
      }
    })
  }

  close(): void {
    // Nothing is held open.
  }
}
