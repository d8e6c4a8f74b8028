/** Where relays come from: the seam, and how a text names a source. */

import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { SeenRelay, SennitError } from '@sennit/protocol'
import { ConsulAgent, isConsulUrl, parseConsulUrl } from '@sennit/protocol/node'
import { ConsulDirectory } from './consul-directory.ts'
import { FileDirectory } from './file-directory.ts'

/** What a source says: a list that the mesh signed (not checked yet), or relays it saw, or both. */
export interface DirectoryNews {
  readonly signed?: Uint8Array
  readonly seen?: readonly SeenRelay[]
  /** It is the first word of a source, or the first since it could not be asked: relays may be missing that only are not there yet. */
  readonly afterGap?: boolean
}

export interface DirectoryListener {
  news(news: DirectoryNews): void
  trouble(error: SennitError): void
}

/** A source of relays. It never decides what is believed. */
export interface Directory {
  /** For events and status: `file mesh/relays.list`, `consul 127.0.0.1:8500/sennit-relay`. */
  readonly name: string
  /** What it says now. @throws SennitError why it cannot say */
  read(): Promise<DirectoryNews>
  /** Tells every change from now on. @returns how to stop */
  watch(listener: DirectoryListener): () => void
  /** Gives back what it holds. */
  close(): void
}

/**
 * The source that `text` names: `consul://host:port/service`, the path of a signed list, or a mesh directory with one.
 * @throws SennitError `bad_directory`
 */
export async function directoryOf(text: string, meshId: string): Promise<Directory> {
  if (isConsulUrl(text)) return new ConsulDirectory(await ConsulAgent.load(parseConsulUrl(text), meshId))
  const isFolder = statSync(text, { throwIfNoEntry: false })?.isDirectory() === true
  return new FileDirectory(isFolder ? join(text, 'relays.list') : text)
}
