// The sending end of one file.
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import type { Connection, Stream } from '@sennit/client'
import { codedError } from './exit-codes.ts'
import { answerBytesMax, encodeHeader, type FileAnswer, parseAnswer, type Transferred } from './file-header.ts'
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
    const { size } = await file.stat()
    const stream = await connection.openStream({ header: encodeHeader(path, size) })
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
  let early: FileAnswer | undefined
  const answer = answerOf(stream, connection, path).then((given) => {
    early = given
    return given
  })
  answer.catch(() => {})
  const hash = createHash('sha256')
  let sent = 0
  // A receiver that answers before the end has refused: what is still to be sent would go nowhere.
  while (sent < size && early === undefined) {
    signal.throwIfAborted()
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(readBytes), 0, readBytes)
    if (bytesRead === 0 || sent + bytesRead > size) throw changed(path, size, bytesRead === 0 ? `${sent}` : 'more')
    const chunk = buffer.subarray(0, bytesRead)
    hash.update(chunk)
    sent += bytesRead
    await written(stream, chunk, answer)
    progress(bytesRead)
  }
  const digest = hash.digest()
  if (early === undefined) {
    await written(stream, digest, answer)
    stream.end()
  }
  const verdict = await answer
  if (!verdict.ok) throw codedError('file_refused', `the receiver did not take ${path}: ${verdict.reason}`)
  return { bytes: size, sha256: digest.toString('hex') }
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

function answerOf(stream: Stream, connection: Connection, path: string): Promise<FileAnswer> {
  return new Promise((done, fail) => {
    let text = ''
    stream.onData((bytes) => {
      text += new TextDecoder().decode(bytes)
      if (text.length > answerBytesMax) stream.stop()
    })
    stream.onEnd(() => {
      const answer = parseAnswer(text)
      if (answer === undefined) fail(codedError('file_refused', `expected the receiver of ${path} to answer in JSON; it ended without`))
      else done(answer)
    })
    stream.onReset(() => {
      // When the connection ended under the stream its reason says more; it is known by the next turn.
      const gaveUp = Promise.resolve().then(() => codedError('peer_closed', `the receiver gave up before it had ${path}`))
      const ended = connection.closed.then(({ code, message }) =>
        codedError(
          code === 'closed' ? 'peer_closed' : code,
          `the connection ended before the receiver had ${path}: ${message === '' ? code : message}`,
        ),
      )
      void Promise.race([ended, gaveUp]).then(fail)
    })
  })
}
