// A file on its way in: its bytes so far lie beside the finished ones, under a name made of who sends what, so that a sender that comes again, to this
// process or the next, finds them. What lies there is believed only as far as the sender has the same bytes: both compare a hash of them first.
import { createHash, type Hash, randomBytes } from 'node:crypto'
import { type FileHandle, open, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileHeader } from './file-header.ts'

/** What nobody came back for in a week is thrown away. */
const keepMs = 7 * 86_400_000
const readBytes = 1024 * 1024

/**
 * A transfer that took no byte for so long may be of a sender that is gone: one that begins the same file again takes its place. One that goes on
 * is another process that sends the same file, and the newer begins for itself.
 */
const idleMs = 1_000
/** How long the newer waits to see which. */
const lookMs = 3_000
const lookEveryMs = 50

interface Holder {
  lastByteAtMs: number
  /** Makes the transfer end; resolves when it has let go. */
  give(): Promise<void>
}

/** Partial files that a transfer of this process holds. */
const held = new Map<string, Holder>()

export interface PartialFile {
  readonly path: string
  readonly file: FileHandle
  /** Bytes that lie there. */
  readonly have: number
  /** Of them. */
  readonly hash: Hash
  /** Bytes came. */
  touched(): void
  /** Aborted when a newer transfer takes the place of this one. */
  readonly taken: AbortSignal
  /** Keeps the bytes for another time. */
  leave(): Promise<void>
  /** Throws the bytes away. */
  remove(): Promise<void>
  /** The file was finished and moved. */
  moved(): Promise<void>
}

/** Opens the bytes of an earlier try, or begins. */
export async function openPartial(dir: string, from: string, header: FileHeader): Promise<PartialFile> {
  const key = createHash('sha256')
    .update(JSON.stringify([from, header.name, header.size, header.changedMs]))
    .digest('hex')
    .slice(0, 16)
  const usual = join(dir, `.sennit-${key}.part`)
  const path = (await isFree(usual)) ? usual : join(dir, `.sennit-${randomBytes(8).toString('hex')}.part`)
  const taken = new AbortController()
  let letGo: () => void = () => {}
  const gone = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const holder: Holder = {
    lastByteAtMs: performance.now(),
    give: async () => {
      taken.abort()
      await gone
    },
  }
  held.set(path, holder)
  const release = (): void => {
    if (held.get(path) === holder) held.delete(path)
    letGo()
  }
  const note = `${path}.json`
  try {
    const file = await open(path, 'a+', 0o600).then(async (made) => {
      await made.close()
      return await open(path, 'r+')
    })
    // For people who wonder what lies there.
    await writeFile(note, `${JSON.stringify({ from, name: header.name, size: header.size })}\n`, { mode: 0o600 })
    if ((await file.stat()).size > header.size) await file.truncate(0)
    const { hash, have } = await hashOf(file, header.size)
    const end = async (): Promise<void> => {
      await file.close().catch(() => {})
      release()
    }
    return {
      path,
      file,
      have,
      hash,
      taken: taken.signal,
      touched() {
        holder.lastByteAtMs = performance.now()
      },
      leave: end,
      async remove() {
        await end()
        await rm(path, { force: true })
        await rm(note, { force: true })
      },
      async moved() {
        await end()
        await rm(note, { force: true })
      },
    }
  } catch (error) {
    release()
    throw error
  }
}

/** Whether the usual place can be had, if need be from a transfer whose sender says nothing more. */
async function isFree(path: string): Promise<boolean> {
  for (const untilMs = performance.now() + lookMs; ; await new Promise((resolve) => setTimeout(resolve, lookEveryMs))) {
    const holder = held.get(path)
    if (holder === undefined) return true
    const nowMs = performance.now()
    if (nowMs - holder.lastByteAtMs >= idleMs) await holder.give()
    else if (nowMs >= untilMs) return false
  }
}

/** Throws away what was left too long ago. */
export async function removeOldPartials(dir: string, nowMs: number): Promise<void> {
  for (const name of await readdir(dir)) {
    if (!/^\.sennit-[0-9a-f]{16}\.part(\.json)?$/.test(name)) continue
    const path = join(dir, name)
    const facts = await stat(path).catch(() => undefined)
    if (facts !== undefined && nowMs - facts.mtimeMs > keepMs) await rm(path, { force: true })
  }
}

/** The hash of the first `most` bytes, as many as there are. */
export async function hashOf(file: FileHandle, most: number): Promise<{ hash: Hash; have: number }> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(readBytes)
  let have = 0
  while (have < most) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(readBytes, most - have), have)
    if (bytesRead === 0) break
    hash.update(buffer.subarray(0, bytesRead))
    have += bytesRead
  }
  return { hash, have }
}
