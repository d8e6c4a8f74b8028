// The sending end of one file.
import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import type { Connection, Stream } from '@sennit/client'
import { codedError } from './exit-codes.ts'
import { answerBytesMax, encodeHeader, type FileAnswer, parseAnswer, startBytes, type Transferred } from './file-header.ts'
import { hashOf } from './partial-file.ts'
import { unlessAborted } from './signals.ts'

/** Large enough to fill packets, small enough to keep progress smooth. */
const readBytes = 256 * 1024

/**
 * Sends one file and resolves when the receiver has stored it and its hash is equal.
 * @throws CodedError `file_refused` with the receiver's reason, `peer_closed` when it is gone, `file_changed`, or the signal's reason
 */
export async function sendFile(
  connection: Connection,
  path: string,
  progress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Transferred> {
  const file = await open(path, 'r')
  try {
    const { size, mtimeMs } = await file.stat()
    const stream = await connection.openStream({ header: encodeHeader(path, size, Math.round(mtimeMs)) })
    try {
      return await unlessAborted(sendOn(stream, connection, file, { path, size }, progress, signal), signal)
    } catch (error) {
      stream.reset()
      stream.stop()
      throw error
    }
  } finally {
    await file.close()
  }
}

async function sendOn(
  stream: Stream,
  connection: Connection,
  file: FileHandle,
  { path, size }: { path: string; size: number },
  progress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Transferred> {
  const answers = new Answers(stream, connection, path)
  const first = await answers.next()
  if (!first.ok) throw refused(path, first)
  const { start, hash } = await begin(file, size, first)
  const verdict = answers.next()
  let early: FileAnswer | undefined
  verdict.then(
    (given) => {
      early = given
    },
    () => {},
  )
  const head = Buffer.alloc(startBytes)
  head.writeBigUInt64BE(BigInt(start))
  await written(stream, head, verdict)
  if (start > 0) progress(start)
  let sent = start
  // A receiver that answers before the end has refused: what is still to be sent would go nowhere.
  while (sent < size && early === undefined) {
    signal.throwIfAborted()
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(readBytes), 0, readBytes, sent)
    if (bytesRead === 0 || sent + bytesRead > size) throw changed(path, size, bytesRead === 0 ? `${sent}` : 'more')
    const chunk = buffer.subarray(0, bytesRead)
    hash.update(chunk)
    sent += bytesRead
    await written(stream, chunk, verdict)
    progress(bytesRead)
  }
  const digest = hash.digest()
  if (early === undefined) {
    await written(stream, digest, verdict)
    stream.end()
  }
  const last = await verdict
  if (!last.ok) throw refused(path, last)
  return { bytes: size, sha256: digest.toString('hex'), resumedFrom: start }
}

/** Where the receiver's bytes end, when they are ours; else at the beginning. */
async function begin(file: FileHandle, size: number, { have, sha256 }: FileAnswer): Promise<{ start: number; hash: Hash }> {
  const fresh = { start: 0, hash: createHash('sha256') }
  if (have <= 0 || have > size) return fresh
  const { hash, have: ours } = await hashOf(file, have)
  return ours === have && hash.copy().digest('hex') === sha256 ? { start: have, hash } : fresh
}

function refused(path: string, { reason }: FileAnswer): Error {
  return codedError('file_refused', `the receiver did not take ${path}: ${reason}`)
}

function changed(path: string, size: number, found: string): Error {
  return codedError('file_changed', `${path} changed while it was sent: expected ${size} bytes; found ${found}`)
}

/** Writes, and waits for room where there is none. A stream that takes no more is explained by the answer, or by the end of the connection. */
async function written(stream: Stream, chunk: Uint8Array, answer: Promise<FileAnswer>): Promise<void> {
  try {
    if (stream.write(chunk)) return
  } catch {
    await answer
    return
  }
  await Promise.race([new Promise<void>((done) => stream.onDrain(done)), answer])
}

/** The receiver's lines, one after the other; the end of the stream, or of the connection, is an error for whoever waits. */
class Answers {
  readonly #lines: string[] = []
  readonly #waiting: { done: (answer: FileAnswer) => void; fail: (error: Error) => void }[] = []
  readonly #path: string
  #text = ''
  #failure: Error | undefined

  constructor(stream: Stream, connection: Connection, path: string) {
    this.#path = path
    stream.onData((bytes) => {
      this.#text += new TextDecoder().decode(bytes)
      if (this.#text.length > answerBytesMax) stream.stop()
      const lines = this.#text.split('\n')
      this.#text = lines.pop() ?? ''
      this.#lines.push(...lines)
      this.#settle()
    })
    stream.onEnd(() => this.#fail(this.#malformed()))
    stream.onReset(() => {
      // When the connection ended under the stream its reason says more; it is known by the next turn.
      const gaveUp = new Promise((done) => setImmediate(done)).then(() =>
        codedError('peer_closed', `the receiver gave up before it had ${path}`),
      )
      const ended = connection.closed.then(({ code, message }) =>
        codedError(
          code === 'closed' ? 'peer_closed' : code,
          `the connection ended before the receiver had ${path}: ${message === '' ? code : message}`,
        ),
      )
      void Promise.race([ended, gaveUp]).then((error) => this.#fail(error))
    })
  }

  next(): Promise<FileAnswer> {
    return new Promise((done, fail) => {
      this.#waiting.push({ done, fail })
      this.#settle()
    })
  }

  #settle(): void {
    while (this.#waiting.length > 0) {
      const line = this.#lines.shift()
      if (line === undefined) break
      const answer = parseAnswer(line)
      if (answer === undefined) {
        this.#fail(this.#malformed())
        return
      }
      this.#waiting.shift()?.done(answer)
    }
    if (this.#failure !== undefined) for (const { fail } of this.#waiting.splice(0)) fail(this.#failure)
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#settle()
  }

  #malformed(): Error {
    return codedError('file_refused', `expected the receiver of ${this.#path} to answer in JSON; it ended without`)
  }
}
