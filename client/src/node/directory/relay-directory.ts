/**
 * All sources of one client put together: reads them at the start, watches them, keeps the last good signed list on disk, and says which relays
 * to go by. No source, and no relay, can do more than offer.
 */

import { existsSync } from 'node:fs'
import { type MeshTrust, type RelayEntry, SennitError } from '@sennit/protocol'
import { nodeCrypto, privateMode, readNamedFile, writeFileAtomically } from '@sennit/protocol/node'
import { RelayBook } from '../../core/directory/relay-book.ts'
import type { DirectoryEvent } from '../events.ts'
import { type Directory, type DirectoryNews, directoryOf } from './directory.ts'

export interface RelayDirectoryOptions {
  readonly trust: MeshTrust
  /** Names of sources, as `directoryOf` reads them. */
  readonly sources: readonly string[]
  /** Where the last good signed list is kept. @default nowhere */
  readonly cacheFile?: string
  /** The time of day, in ms. @default Date.now */
  readonly now?: () => number
}

/** Told after the start. */
export interface RelayDirectoryListener {
  changed(relays: readonly RelayEntry[], version: number): void
  event(event: DirectoryEvent): void
}

/** How often the end of the list in force is looked at. A day before it, and at it, somebody is told. */
const expiryLookMs = 60_000
const warnBeforeMs = 24 * 3_600_000

export class RelayDirectory {
  readonly #options: RelayDirectoryOptions
  readonly #book: RelayBook
  readonly #sources: readonly Directory[]
  readonly #now: () => number
  #listener: RelayDirectoryListener | undefined
  #stops: (() => void)[] = []
  #early: DirectoryEvent[] = []
  #timer: NodeJS.Timeout | undefined
  #warned: string | undefined

  private constructor(options: RelayDirectoryOptions, sources: readonly Directory[]) {
    this.#options = options
    this.#sources = sources
    this.#now = options.now ?? Date.now
    this.#book = new RelayBook(nodeCrypto(), options.trust)
  }

  /**
   * Reads the kept list and every source. One that cannot be read, or offers nothing good, is told as an event as long as another gives relays.
   * @throws SennitError the first trouble, when no source gives a relay
   */
  static async open(options: RelayDirectoryOptions): Promise<RelayDirectory> {
    const sources = await Promise.all(options.sources.map((text) => directoryOf(text, options.trust.meshId)))
    const directory = new RelayDirectory(options, sources)
    const troubles: SennitError[] = []
    directory.#readCache()
    const answers = await Promise.allSettled(sources.map((source) => source.read()))
    for (const [index, answer] of answers.entries()) {
      const source = sources[index]!.name
      const trouble =
        answer.status === 'fulfilled' ? directory.#take(source, answer.value) : directory.#trouble(source, asSennitError(answer.reason))
      if (trouble !== undefined) troubles.push(trouble)
    }
    if (directory.relays.length > 0) return directory
    directory.close()
    throw troubles[0] ?? new SennitError('no_relay', 'expected a directory with at least one relay, found an empty one')
  }

  /** The relays to go by. */
  get relays(): readonly RelayEntry[] {
    return this.#book.relays
  }

  /** Version of the signed list in force; 0 while there is none. */
  get version(): number {
    return this.#book.version
  }

  /** What was seen at the start; whoever watches next is not told of it again. */
  takeEarly(): DirectoryEvent[] {
    return this.#early.splice(0)
  }

  /** Watches the sources, and tells what was seen at the start. */
  watch(listener: RelayDirectoryListener): void {
    this.#listener = listener
    for (const event of this.#early.splice(0)) listener.event(event)
    this.#stops = this.#sources.map((source) =>
      source.watch({
        news: (news) => this.#news(source.name, news),
        trouble: (error) => void this.#trouble(source.name, error),
      }),
    )
    this.#timer = setInterval(() => this.#look(), expiryLookMs)
    this.#timer.unref()
    this.#look()
  }

  /** A relay handed a signed list out. */
  handedOut(relayId: string, signed: Uint8Array): void {
    this.#news(`relay ${relayId}`, { signed })
  }

  close(): void {
    for (const stop of this.#stops.splice(0)) stop()
    clearInterval(this.#timer)
    for (const source of this.#sources) source.close()
    this.#listener = undefined
  }

  #news(source: string, news: DirectoryNews): void {
    const before = this.#book.version
    const { changed } = this.#apply(source, news)
    if (changed || this.#book.version !== before) this.#listener?.changed(this.relays, this.version)
  }

  #take(source: string, news: DirectoryNews): SennitError | undefined {
    return this.#apply(source, news).trouble
  }

  #apply(source: string, { signed, seen, afterGap }: DirectoryNews): { changed: boolean; trouble?: SennitError } {
    const changed = seen !== undefined && this.#book.seen(this.#now(), seen, afterGap)
    if (signed === undefined) return { changed }
    const offered = this.#book.offer(this.#now(), signed)
    if (offered.type === 'refused') return { changed, trouble: this.#trouble(source, new SennitError(offered.code, offered.message)) }
    if (offered.type === 'known') return { changed }
    this.#tell({ type: 'relay_list', source, version: offered.version, relays: this.relays.map(({ relayId }) => relayId) })
    this.#keep()
    this.#look()
    return { changed: true }
  }

  #trouble(source: string, error: SennitError): SennitError {
    this.#tell({ type: 'directory_trouble', source, code: error.code, message: error.message })
    return error
  }

  #tell(event: DirectoryEvent): void {
    if (this.#listener === undefined) this.#early.push(event)
    else this.#listener.event(event)
  }

  #readCache(): void {
    const { cacheFile } = this.#options
    if (cacheFile === undefined || !existsSync(cacheFile)) return
    try {
      const offered = this.#book.offer(this.#now(), readNamedFile(cacheFile, 'the last good relay list'))
      // Of another mesh, or over: as good as none, and written over by the next good one.
      if (offered.type === 'refused') this.#trouble(`file ${cacheFile}`, new SennitError(offered.code, offered.message))
    } catch (error) {
      this.#trouble(`file ${cacheFile}`, asSennitError(error))
    }
  }

  #keep(): void {
    const { cacheFile } = this.#options
    const { bytes } = this.#book
    if (cacheFile === undefined || bytes === undefined) return
    try {
      writeFileAtomically(cacheFile, bytes, privateMode)
    } catch (error) {
      // A read-only disk costs the next start its safety net, nothing now.
      this.#trouble(`file ${cacheFile}`, asSennitError(error))
    }
  }

  #look(): void {
    if (this.#book.wake(this.#now())) this.#listener?.changed(this.relays, this.version)
    const { expiresMs, version } = this.#book
    if (expiresMs === undefined) return
    const leftMs = expiresMs - this.#now()
    const stage = leftMs <= 0 ? 'over' : leftMs < warnBeforeMs ? 'soon' : undefined
    if (stage === undefined || this.#warned === `${version} ${stage}`) return
    this.#warned = `${version} ${stage}`
    this.#tell({ type: 'relay_list_expires', version, expiresMs, over: stage === 'over' })
  }
}

function asSennitError(error: unknown): SennitError {
  return error instanceof SennitError ? error : new SennitError('directory_failed', (error as Error).message, {}, error)
}
