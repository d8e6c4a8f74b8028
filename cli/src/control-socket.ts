// The control socket of a long-running command: whoever owns the mesh directory may ask it for its status. One JSON line a connection.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

/** Linux cuts the path of a Unix socket at 108 bytes, the end mark included; deeper mesh directories get a link to a short one. */
const socketPathBytesMax = 107
/** A live command answers at once; one that does not within this is frozen, and `status` says so instead of hanging. */
const answerTimeoutMs = 2_000
/** A status of thousands of connections fits; a runaway answer does not fill our memory. */
const answerBytesMax = 16 * 1024 * 1024
/** Folders of sockets whose own path would be too long. */
const linkPrefix = 'sennit-run-'

export interface ControlSocket {
  close(): Promise<void>
}

/** Serves `status()` on a socket of mode 0600 in `directory`. Nothing is served without a directory. */
export async function openControlSocket(directory: string | undefined, status: () => object): Promise<ControlSocket> {
  if (directory === undefined) return { close: async () => {} }
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = resolve(directory, `${process.pid}.sock`)
  rmSync(path, { force: true })
  const bound = Buffer.byteLength(path) > socketPathBytesMax ? join(mkdtempSync(join(tmpdir(), linkPrefix)), 's') : path
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.end(`${JSON.stringify(status())}\n`)
  })
  const mask = process.umask(0o177)
  try {
    await listen(server, bound)
  } finally {
    process.umask(mask)
  }
  chmodSync(bound, 0o600)
  if (bound !== path) symlinkSync(bound, path)
  return {
    close: () =>
      new Promise((done) => {
        server.close(() => {
          sweep(path)
          done()
        })
      }),
  }
}

export interface ControlAnswers {
  readonly answers: object[]
  /** Sockets that exist but did not answer: a frozen command. */
  readonly silent: number[]
}

/** Asks every command that runs under `directory`. Sockets that nobody holds any more are swept away. */
export async function askControlSockets(directory: string): Promise<ControlAnswers> {
  if (!existsSync(directory)) return { answers: [], silent: [] }
  const names = readdirSync(directory).filter((name) => /^\d+\.sock$/.test(name))
  const answers: object[] = []
  const silent: number[] = []
  await Promise.all(
    names.map(async (name) => {
      const path = resolve(directory, name)
      const answer = await ask(path)
      if (answer === 'gone') sweep(path)
      else if (answer === 'silent') silent.push(Number.parseInt(name, 10))
      else answers.push(answer)
    }),
  )
  answers.sort((a, b) => Number((a as { pid?: number }).pid) - Number((b as { pid?: number }).pid))
  return { answers, silent }
}

function sweep(path: string): void {
  const bound = target(path)
  rmSync(path, { force: true })
  // Only a folder that `openControlSocket` made: a link may point anywhere.
  if (bound !== path && dirname(bound).startsWith(join(tmpdir(), linkPrefix))) rmSync(dirname(bound), { recursive: true, force: true })
}

function ask(path: string): Promise<object | 'gone' | 'silent'> {
  return new Promise((done) => {
    let text = ''
    const socket = connect(target(path))
    const finish = (answer: object | 'gone' | 'silent'): void => {
      clearTimeout(timer)
      socket.destroy()
      done(answer)
    }
    const timer = setTimeout(() => finish('silent'), answerTimeoutMs)
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.length > answerBytesMax) finish('silent')
    })
    // Nobody holds the socket file any more, or it is gone; whatever else goes wrong says nothing about its owner.
    socket.on('error', (error: NodeJS.ErrnoException) =>
      finish(error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? 'gone' : 'silent'),
    )
    socket.on('end', () => {
      try {
        finish(JSON.parse(text) as object)
      } catch {
        finish('silent')
      }
    })
  })
}

/** Follows the link of a deep directory by hand: the link's own path would be too long to connect to. */
function target(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return path
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', fail)
    server.listen(path, () => {
      server.off('error', fail)
      done()
    })
  })
}
