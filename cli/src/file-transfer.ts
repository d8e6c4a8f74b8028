// One file on one stream. Header (JSON: name, size) in the stream's opening; then the bytes; then their SHA-256 (32 bytes).
// The receiver answers on its half of the stream, in JSON, whether what it stored has that hash.
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, linkSync, openSync, rmSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import type { Connection, Stream } from '@sennit/client'
import { SennitError } from '@sennit/protocol'

/** Large enough to fill packets, small enough to keep progress smooth. */
const readBytes = 256 * 1024
const hashBytes = 32
/** An answer is one short JSON object. */
const answerBytesMax = 4_096
/** How many names `photo (n).jpg` are tried before giving up. */
const namesMax = 10_000

export interface Transferred {
  readonly bytes: number
  readonly sha256: string
}

/** Sends one file and resolves when the receiver has stored it and its hash is equal. */
export async function sendFile(
  connection: Connection,
  path: string,
  progress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Transferred> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const header = new TextEncoder().encode(JSON.stringify({ name: basename(path), size }))
    const stream = await connection.openStream({ header })
    const answer = answerOf(stream)
    answer.catch(() => {})
    const hash = createHash('sha256')
    let sent = 0
    for (;;) {
      if (signal.aborted) {
        stream.reset()
        throw new SennitError('interrupted', `interrupted after ${sent} of ${size} bytes of ${path}`)
      }
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(readBytes), 0, readBytes)
      if (bytesRead === 0) break
      const chunk = buffer.subarray(0, bytesRead)
      sent += bytesRead
      if (sent > size) break
      hash.update(chunk)
      if (!stream.write(chunk)) await Promise.race([drained(stream), answer])
      progress(bytesRead)
    }
    if (sent !== size) {
      stream.reset()
      throw new SennitError(
        'file_changed',
        `${path} changed while it was sent: expected ${size} bytes; found ${sent > size ? 'more' : sent}`,
      )
    }
    const digest = hash.digest()
    stream.write(digest)
    stream.end()
    const verdict = await answer
    if (!verdict.ok) throw new SennitError('file_refused', `the receiver did not take ${path}: ${verdict.reason}`)
    return { bytes: size, sha256: digest.toString('hex') }
  } finally {
    await file.close()
  }
}

function drained(stream: Stream): Promise<void> {
  return new Promise((done) => stream.onDrain(() => done()))
}

function answerOf(stream: Stream): Promise<{ ok: boolean; reason: string }> {
  return new Promise((done, fail) => {
    let text = ''
    stream.onData((bytes) => {
      text += new TextDecoder().decode(bytes)
      if (text.length > answerBytesMax) stream.stop()
    })
    stream.onEnd(() => {
      try {
        const value = JSON.parse(text) as { ok?: unknown; reason?: unknown }
        done({ ok: value.ok === true, reason: String(value.reason ?? 'no reason given') })
      } catch {
        fail(new SennitError('file_refused', 'expected the receiver to answer in JSON; it ended without'))
      }
    })
    stream.onReset((code) => fail(new SennitError('peer_closed', `the receiver gave the transfer up (stream error ${code})`)))
  })
}

/** Stores one incoming file under a name that was free, and answers the sender. */
export function receiveFile(stream: Stream, dir: string): Promise<Transferred & { path: string }> {
  return new Promise((done, fail) => {
    const answer = (value: object): void => {
      stream.write(new TextEncoder().encode(JSON.stringify(value)))
      stream.end()
    }
    let header: { name: string; size: number }
    try {
      header = parseHeader(stream.header)
    } catch (error) {
      answer({ ok: false, reason: 'the header is not { name, size }' })
      stream.stop()
      fail(error)
      return
    }
    const temporary = join(dir, `.sennit-${randomBytes(8).toString('hex')}.part`)
    const descriptor = openSync(temporary, 'wx', 0o600)
    const hash = createHash('sha256')
    const trailer: Uint8Array[] = []
    let received = 0
    let trailerBytes = 0
    let over = false
    const end = (): void => {
      over = true
      closeSync(descriptor)
    }
    const giveUp = (error: SennitError, tell: boolean): void => {
      if (over) return
      end()
      rmSync(temporary, { force: true })
      if (tell) {
        answer({ ok: false, reason: error.message })
        stream.stop()
      }
      fail(error)
    }
    stream.onData((bytes) => {
      if (over) return
      const body = bytes.subarray(0, Math.max(0, header.size - received))
      try {
        for (let written = 0; written < body.length; ) written += writeSync(descriptor, body, written)
      } catch (error) {
        giveUp(new SennitError('file_write', `could not write: ${(error as Error).message}`, {}, error), true)
        return
      }
      hash.update(body)
      received += body.length
      if (body.length < bytes.length) {
        trailer.push(bytes.subarray(body.length))
        trailerBytes += bytes.length - body.length
        if (trailerBytes > hashBytes) giveUp(new SennitError('file_invalid', `expected ${header.size} bytes and a hash; found more`), true)
      }
    })
    stream.onReset((code) =>
      giveUp(new SennitError('peer_closed', `the sender gave up after ${received} of ${header.size} bytes (stream error ${code})`), false),
    )
    stream.onEnd(() => {
      if (over) return
      const digest = hash.digest()
      if (received !== header.size || !digest.equals(Buffer.concat(trailer))) {
        giveUp(
          new SennitError('file_invalid', `expected ${header.size} bytes with the sender's hash; found ${received} with another`),
          true,
        )
        return
      }
      end()
      try {
        const path = placeFile(temporary, dir, header.name)
        answer({ ok: true, bytes: received, sha256: digest.toString('hex') })
        done({ path, bytes: received, sha256: digest.toString('hex') })
      } catch (error) {
        rmSync(temporary, { force: true })
        answer({ ok: false, reason: 'could not name the file' })
        fail(error)
      }
    })
  })
}

function parseHeader(bytes: Uint8Array): { name: string; size: number } {
  let value: { name?: unknown; size?: unknown }
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as typeof value
  } catch {
    value = {}
  }
  if (typeof value.name !== 'string' || !Number.isSafeInteger(value.size) || (value.size as number) < 0) {
    throw new SennitError('file_invalid', 'expected a stream that opens with { name, size }; found another header')
  }
  return { name: safeName(value.name), size: value.size as number }
}

/** The last part of the name only, with nothing a shell or a file system could trip over: the sender does not choose our folders. */
function safeName(name: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? ''
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters in a file name are exactly what must go
  const clean = last.replace(/[\u0000-\u001f\u007f]/g, '_').slice(0, 200)
  return clean === '' || clean === '.' || clean === '..' ? 'file' : clean
}

/** Links the finished file to the first free name, which never replaces one; `link` fails where the name is taken. */
function placeFile(temporary: string, dir: string, name: string): string {
  const ending = extname(name)
  const stem = name.slice(0, name.length - ending.length)
  for (let count = 0; count < namesMax; count += 1) {
    const path = join(dir, count === 0 ? name : `${stem} (${count})${ending}`)
    try {
      linkSync(temporary, path)
      rmSync(temporary, { force: true })
      return path
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
        throw new SennitError('file_write', `could not name the file ${path}: ${(error as Error).message}`, {}, error)
    }
  }
  throw new SennitError('file_write', `every name from "${name}" to "${stem} (${namesMax - 1})${ending}" is taken in ${dir}`)
}
