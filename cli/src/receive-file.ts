// The receiving end of one file: written as it comes, checked at the end, given a name that was free.
import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Stream } from '@sennit/client'
import { codedError, isCoded } from './exit-codes.ts'
import { type FileHeader, hashBytes, parseHeader, splitEnding, type Transferred } from './file-header.ts'

/** What may wait for the disk; then the sender waits. */
const waitingBytesMax = 4 * 1024 * 1024
/** How many names `photo (n).jpg` are tried before giving up. */
const namesMax = 10_000

/**
 * Stores one incoming file in `dir` and answers the sender. An abort of `signal` gives it up; nothing stays of a file that did not come whole.
 * @throws CodedError `file_invalid`, `file_write`, `peer_closed`
 */
export async function receiveFile(stream: Stream, dir: string, signal: AbortSignal): Promise<Transferred & { path: string }> {
  let temporary: string | undefined
  let file: FileHandle | undefined
  try {
    const header = parseHeader(stream.header)
    temporary = join(dir, `.sennit-${randomBytes(8).toString('hex')}.part`)
    file = await open(temporary, 'wx', 0o600)
    const sha256 = await storeBytes(stream, header, file, signal)
    await file.close()
    file = undefined
    const path = await place(temporary, dir, header.name)
    answer(stream, { ok: true, bytes: header.size, sha256 })
    return { path, bytes: header.size, sha256 }
  } catch (error) {
    await file?.close().catch(() => {})
    if (temporary !== undefined) await rm(temporary, { force: true }).catch(() => {})
    const told = isCoded(error) ? error : codedError('file_write', `could not write in ${dir}: ${(error as Error).message}`, {}, error)
    // The sender learns what went wrong, but not where on our disk.
    answer(stream, {
      ok: false,
      reason: isCoded(error) ? error.message : `could not write: ${(error as NodeJS.ErrnoException).code ?? 'error'}`,
    })
    stream.stop()
    throw told
  }
}

function answer(stream: Stream, value: object): void {
  try {
    stream.write(new TextEncoder().encode(JSON.stringify(value)))
    stream.end()
  } catch {
    // The sender reads no more, or is gone; it knows without us.
  }
}

/** Writes the bytes as they come, and the sender waits when the disk is slower. Resolves with the hash, once it is the sender's too. */
function storeBytes(stream: Stream, { size }: FileHeader, file: FileHandle, signal: AbortSignal): Promise<string> {
  return new Promise((done, fail) => {
    const hash = createHash('sha256')
    const trailer = Buffer.alloc(hashBytes)
    let received = 0
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
      if (error === undefined) done(trailer.toString('hex'))
      else fail(error)
    }
    const onAbort = (): void => finish(codedError('aborted', 'the receiver is ending'))
    const settle = (): void => {
      if (!ended || writing || waitingBytes > 0) return
      const whole = received === size && trailerBytes === hashBytes
      if (whole && hash.digest().equals(trailer)) finish()
      else if (whole) finish(codedError('file_invalid', `the ${size} bytes that came do not have the sender's hash`))
      else finish(codedError('file_invalid', `expected ${size} bytes and a hash; found ${received} bytes and ${trailerBytes} of the hash`))
    }
    const write = async (): Promise<void> => {
      writing = true
      while (waitingBytes > 0 && !over) {
        const chunks = waiting
        waiting = []
        waitingBytes = 0
        stream.resume()
        for (const chunk of chunks) {
          for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten
        }
      }
      writing = false
      settle()
    }

    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) return onAbort()
    stream.onData((bytes) => {
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
