// `sennit send` and `sennit receive`: files of any size, one stream a file, checked at the end by both sides.
import { statSync } from 'node:fs'
import { basename } from 'node:path'
import type { Client, Connection } from '@sennit/client'
import { SennitError } from '@sennit/protocol'
import type { Command } from 'commander'
import { type CommonOptions, openClient, runDirectory, waitMs, withClientOptions } from '../client-options.ts'
import { type ControlSocket, openControlSocket } from '../control-socket.ts'
import { parseTarget } from '../durations.ts'
import { usageError } from '../exit-codes.ts'
import { receiveFile, sendFile } from '../file-transfer.ts'
import { createOutput, type Output } from '../output.ts'
import { createProgress } from '../progress.ts'
import { onInterrupt } from '../signals.ts'

/** The application files travel under when none is named. */
const filesApplication = 'files'

export function addFileCommands(program: Command): void {
  withClientOptions(program.command('send').argument('<target>', 'USER or USER/APP').argument('<files...>', 'files to send'))
    .description('send files to a user who runs `sennit receive`')
    .addHelpText(
      'after',
      '\nExamples:\n  sennit send bob photo.jpg --credential mesh/users/alice.cred --mesh mesh\n  sennit send bob/backup *.tar --credential alice.cred --mesh mesh --wait 5m',
    )
    .action(async (target: string, files: string[], options: CommonOptions) => {
      await send(target, files, options)
    })
  withClientOptions(
    program
      .command('receive')
      .option('--dir <dir>', 'where files go', '.')
      .option('--application <name>', 'application to receive under', filesApplication)
      .option('--from <user>', 'who may send: one user, or * for every registered user', '*')
      .option('--once', 'end after the first sender is done'),
  )
    .description('receive files that others send; never overwrites one')
    .addHelpText(
      'after',
      '\nExamples:\n  sennit receive --dir inbox --credential mesh/users/bob.cred --mesh mesh\n  sennit receive --once --from alice --credential bob.cred --mesh mesh',
    )
    .action(async (options: CommonOptions & ReceiveOptions) => {
      await receive(options)
    })
}

interface ReceiveOptions {
  readonly dir: string
  readonly application: string
  readonly from: string
  readonly once?: boolean
}

async function send(target: string, files: readonly string[], options: CommonOptions): Promise<void> {
  const out = createOutput(options.json === true)
  const { user, application } = parseTarget(target, filesApplication)
  const sizes = files.map((file) => {
    const facts = statSync(file, { throwIfNoEntry: false })
    if (facts === undefined || !facts.isFile())
      throw usageError(`expected a file at ${file}; found ${facts === undefined ? 'nothing' : 'something else'}`)
    return facts.size
  })
  const interruption = onInterrupt()
  let client: Client | undefined
  try {
    client = await openClient(options, true)
    const connection = await client.connect({ user, application, waitMs: waitMs(options), signal: interruption.signal })
    for (const [index, file] of files.entries()) {
      const progress = createProgress(out, `sending ${basename(file)}`, sizes[index] ?? 0)
      const done = await sendFile(connection, file, (bytes) => progress.add(bytes), interruption.signal)
      progress.end()
      out.result({ sent: file, ...done }, `sent ${file} (${done.bytes} bytes, sha256 ${done.sha256})`)
    }
    await connection.close()
  } finally {
    await client?.close()
    interruption.dispose()
  }
}

async function receive(options: CommonOptions & ReceiveOptions): Promise<void> {
  const out = createOutput(options.json === true)
  if (!statSync(options.dir, { throwIfNoEntry: false })?.isDirectory())
    throw usageError(`--dir: expected a directory; found none at ${options.dir}`)
  const interruption = onInterrupt()
  let client: Client | undefined
  let control: ControlSocket | undefined
  try {
    const opened = await openClient(options, false)
    client = opened
    control = await openControlSocket(runDirectory(options), () => ({ pid: process.pid, command: 'receive', ...opened.status() }))
    const listener = await opened.listen({ application: options.application, from: options.from })
    interruption.signal.addEventListener('abort', () => void listener.close(), { once: true })
    out.result({ ready: true, application: options.application, dir: options.dir }, `ready to receive into ${options.dir}; Ctrl-C ends it`)
    const serving = new Set<Promise<number>>()
    for await (const connection of listener) {
      const served = serve(connection, options.dir, out)
      serving.add(served)
      void served.finally(() => serving.delete(served))
      if (options.once === true && (await served) > 0) break
    }
    if (interruption.signal.aborted) return
    await Promise.all(serving)
  } finally {
    await client?.close()
    await control?.close()
    interruption.dispose()
  }
}

/** Takes every file of one connection. Returns how many came whole. */
async function serve(connection: Connection, dir: string, out: Output): Promise<number> {
  let whole = 0
  const sender = connection.peer.user
  const transfers: Promise<void>[] = []
  connection.onStream((stream) => {
    const transfer = receiveFile(stream, dir).then(
      (file) => {
        whole += 1
        out.result(
          { received: file.path, bytes: file.bytes, sha256: file.sha256, from: sender },
          `received ${file.path} from ${sender} (${file.bytes} bytes, sha256 ${file.sha256})`,
        )
      },
      (error: unknown) => {
        const code = error instanceof SennitError ? error.code : 'bug'
        out.note(`a file from ${sender} was not received: ${error instanceof Error ? error.message : String(error)} [${code}]`, {
          from: sender,
          code,
        })
      },
    )
    transfers.push(transfer)
  })
  await connection.closed
  await Promise.all(transfers)
  return whole
}
