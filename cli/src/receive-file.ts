// The receiving end of one file: written as it comes, from where an earlier try ended, checked at the end, given a name that was free.
import { createHash } from 'node:crypto'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Stream } from '@sennit/client'
import { codedError, isCoded } from './exit-codes.ts'
import { type FileHeader, hashBytes, parseHeader, splitEnding, startBytes, type Transferred } from './file-header.ts'
import { openPartial, type PartialFile } from './partial-file.ts'

/** What may wait for the disk; then the sender waits. */
const waitingBytesMax = 4 * 1024 * 1024
/** How many names `photo (n).jpg` are tried before giving up. */
const namesMax = 10_000

/** Ends after which the bytes so far are kept, because the sender may come again with the same ones. */
const keptAfter: ReadonlySet<string> = new Set(['peer_closed', 'aborted', 'superseded'])

/**
 * Stores one incoming file of the user `from` in `dir` and answers the sender. A sender that is lost, an abort of `signal` or the end of this process
 * leave what has come for the next try; bytes that are wrong are thrown away.
 * @throws CodedError `file_invalid`, `file_write`, `peer_closed`
 */
export async function receiveFile(stream: Stream, dir: string, from: string, signal: AbortSignal): Promise<Transferred & { path: string }> {
  let partial: PartialFile | undefined
  try {
    const header = parseHeader(stream.header)
    partial = await openPartial(dir, from, header)
    answer(stream, { ok: true, have: partial.have, sha256: partial.hash.copy().digest('hex') })
    const { sha256, resumedFrom } = await storeBytes(stream, header, partial, signal)
    const path = await place(partial.path, dir, header.name)
    await partial.moved()
    answer(stream, { ok: true, bytes: header.size, sha256 })
    end(stream)
    return { path, bytes: header.size, sha256, resumedFrom }
  } catch (error) {
    if (isCoded(error) && keptAfter.has(error.code)) await partial?.leave()
    else await partial?.remove().catch(() => {})
    const told = isCoded(error) ? error : codedError('file_write', `could not write in ${dir}: ${(error as Error).message}`, {}, error)
    // The sender learns what went wrong, but not where on our disk.
    answer(stream, {
      ok: false,
      reason: isCoded(error) ? error.message : `could not write: ${(error as NodeJS.ErrnoException).code ?? 'error'}`,
    })
    end(stream)
    stream.stop()
    throw told
  }
}

function answer(stream: Stream, value: object): void {
  try {
    stream.write(new TextEncoder().encode(`${JSON.stringify(value)}\n`))
  } catch {
    // The sender reads no more, or is gone; it knows without us.
  }
}

function end(stream: Stream): void {
  try {
    stream.end()
  } catch {
    // As above.
  }
}

/** Writes the bytes as they come, and the sender waits when the disk is slower. Resolves with the hash, once it is the sender's too. */
function storeBytes(
  stream: Stream,
  { size }: FileHeader,
  partial: PartialFile,
  signal: AbortSignal,
): Promise<{ sha256: string; resumedFrom: number }> {
  return new Promise((done, fail) => {
    const { file } = partial
    let { hash } = partial
    const start = Buffer.alloc(startBytes)
    let startSeen = 0
    let resumedFrom = 0
    const trailer = Buffer.alloc(hashBytes)
    let received = 0
    let written = 0
    let trailerBytes = 0
    let waiting: Uint8Array[] = []
    let waitingBytes = 0
    let writing = false
    let ended = false
    let over = false

    const finish = (error?: Error): void => {
      if (over) return
      over = true
      stream.onData(() => {})
      signal.removeEventListener('abort', onAbort)
      partial.taken.removeEventListener('abort', onAbort)
      if (error === undefined) done({ sha256: trailer.toString('hex'), resumedFrom })
      else fail(error)
    }
    const onAbort = (): void =>
      finish(
        partial.taken.aborted
          ? codedError('superseded', 'the sender began this file again')
          : codedError('aborted', 'the receiver is ending'),
      )
    const settle = (): void => {
      if (!ended || writing || waitingBytes > 0) return
      const whole = received === size && trailerBytes === hashBytes
      if (whole && hash.digest().equals(trailer)) finish()
      else if (whole) finish(codedError('file_invalid', `the ${size} bytes that came do not have the sender's hash`))
      else finish(codedError('file_invalid', `expected ${size} bytes and a hash; found ${received} bytes and ${trailerBytes} of the hash`))
    }
    const write = async (): Promise<void> => {
      writing = true
      // What lies there is another file's beginning.
      if (written === 0 && partial.have > 0) await file.truncate(0)
      while (waitingBytes > 0 && !over) {
        const chunks = waiting
        waiting = []
        waitingBytes = 0
        stream.resume()
        for (const chunk of chunks) {
          for (let at = 0; at < chunk.length; ) {
            const { bytesWritten } = await file.write(chunk, at, chunk.length - at, written)
            at += bytesWritten
            written += bytesWritten
          }
        }
      }
      writing = false
      settle()
    }

    signal.addEventListener('abort', onAbort, { once: true })
    partial.taken.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted || partial.taken.aborted) return onAbort()
    /** Takes where the sender begins; gives what follows. */
    const begun = (bytes: Uint8Array): Uint8Array => {
      const head = bytes.subarray(0, startBytes - startSeen)
      start.set(head, startSeen)
      startSeen += head.length
      if (startSeen < startBytes || head.length === 0) return bytes.subarray(head.length)
      resumedFrom = Number(start.readBigUInt64BE())
      if (resumedFrom === 0) hash = createHash('sha256')
      else if (resumedFrom !== partial.have)
        finish(codedError('file_invalid', `expected a beginning at 0 or ${partial.have}; found ${resumedFrom}`))
      received = resumedFrom
      written = resumedFrom
      return bytes.subarray(head.length)
    }
    stream.onData((chunk) => {
      const bytes = begun(chunk)
      partial.touched()
      if (over || bytes.length === 0) return
      const body = bytes.subarray(0, Math.max(0, size - received))
      const rest = bytes.subarray(body.length)
      if (trailerBytes + rest.length > hashBytes) return finish(codedError('file_invalid', `expected ${size} bytes and a hash; found more`))
      trailer.set(rest, trailerBytes)
      trailerBytes += rest.length
      if (body.length === 0) return
      received += body.length
      hash.update(body)
      waiting.push(body)
      waitingBytes += body.length
      if (waitingBytes > waitingBytesMax) stream.pause()
      if (!writing) write().catch((error: Error) => finish(error))
    })
    stream.onReset(() => finish(codedError('peer_closed', `the sender gave up, or was lost, after ${received} of ${size} bytes`)))
    stream.onEnd(() => {
      ended = true
      settle()
    })
  })
}

/** Moves the finished file to the first free name. A name is taken by creating it, which fails where it exists, so that nothing is replaced. */
async function place(temporary: string, dir: string, name: string): Promise<string> {
  const { stem, ending } = splitEnding(name)
  for (let count = 0; count < namesMax; count += 1) {
    const path = join(dir, count === 0 ? name : `${stem} (${count})${ending}`)
    try {
      await (await open(path, 'wx', 0o600)).close()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue
      throw error
    }
    await rename(temporary, path)
    return path
  }
  throw codedError('file_write', `every name from "${name}" to "${stem} (${namesMax - 1})${ending}" is taken`)
}
