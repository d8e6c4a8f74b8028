// `sennit send` and `sennit receive`: files of any size, one stream a file, checked at the end by both sides.
import { accessSync, constants, statSync } from 'node:fs'
import { basename } from 'node:path'
import type { Connection, Listener } from '@sennit/client'
import type { Command } from 'commander'
import { type CommonOptions, openClient, waitMs, withClientOptions } from '../client-options.ts'
import { parseTarget } from '../durations.ts'
import { isCoded, usageError } from '../exit-codes.ts'
import { createOutput, type Output } from '../output.ts'
import { removeOldPartials } from '../partial-file.ts'
import { createProgress } from '../progress.ts'
import { receiveFile } from '../receive-file.ts'
import { sendFile } from '../send-file.ts'
import { serveStatus, tellEvents, untilRefused } from '../serving.ts'
import { aborted, untilDone, untilStopped } from '../signals.ts'

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
  const sizes = files.map(sizeOf)
  const wait = waitMs(options)
  await untilDone(async (signal) => {
    const client = await openClient(options, { shortLived: true, signal, extra: { openMs: wait } })
    try {
      const connect = async (): Promise<Connection> => {
        const made = await client.connect({ user, application, waitMs: wait, signal })
        made.on((event) => {
          // Not `waiting`, which is about bytes that could be sent: the other end may have had no room for more when the last way was lost.
          if (event.type === 'path_moved' && event.to === null) out.note(`no way to ${user} at the moment; waiting for one`, { event })
        })
        return made
      }
      let connection = await connect()
      for (const [index, file] of files.entries()) {
        const progress = createProgress(out, `sending ${basename(file)}`, sizes[index] ?? 0)
        try {
          for (;;) {
            try {
              const done = await sendFile(connection, file, (bytes) => progress.add(bytes), signal)
              progress.end()
              out.result({ sent: file, ...done }, `sent ${file} (${done.bytes} bytes, sha256 ${done.sha256})`)
              break
            } catch (error) {
              // It was started anew and has what it had: the file goes on from there.
              if (!isCoded(error) || error.code !== 'peer_restarted') throw error
              out.note(`${user} was started anew; ${file} goes on where it was`)
              connection = await connect()
            }
          }
        } finally {
          progress.end()
        }
      }
    } finally {
      await client.close(signal.aborted ? { waitMs: 500 } : {})
    }
  })
}

function sizeOf(file: string): number {
  const facts = statSync(file, { throwIfNoEntry: false })
  if (facts === undefined || !facts.isFile())
    throw usageError(`expected a file at ${file}; found ${facts === undefined ? 'nothing' : 'something else'}`)
  accessSync(file, constants.R_OK)
  return facts.size
}

async function receive(options: CommonOptions & ReceiveOptions): Promise<void> {
  const out = createOutput(options.json === true)
  if (!statSync(options.dir, { throwIfNoEntry: false })?.isDirectory())
    throw usageError(`--dir: expected a directory; found none at ${options.dir}`)
  accessSync(options.dir, constants.W_OK)
  await removeOldPartials(options.dir, Date.now())
  const openMs = waitMs(options)
  // With --once the command has an end of its own; without it, it serves until it is told to stop.
  await (options.once === true ? untilDone : untilStopped)(async (signal) => {
    const client = await openClient(options, { signal, extra: { openMs } })
    const stopTelling = tellEvents(client, out)
    const control = await serveStatus('receive', options, client, out)
    try {
      const listener = await client.listen({ application: options.application, from: options.from, signal })
      out.result(
        { ready: true, application: options.application, dir: options.dir },
        `ready to receive into ${options.dir}; Ctrl-C ends it`,
      )
      await Promise.race([aborted(signal), untilRefused(client), takeFiles(listener, options, out, signal)])
      await listener.close()
    } finally {
      stopTelling()
      await client.close(signal.aborted ? { waitMs: 2_000 } : {})
      await control.close()
    }
  })
}

/** Takes files of every sender; with `--once`, until the first that sent any is done. */
async function takeFiles(listener: Listener, options: ReceiveOptions, out: Output, signal: AbortSignal): Promise<void> {
  for await (const connection of listener) {
    const served = serve(connection, options.dir, out, signal)
    if (options.once === true && (await served) > 0) return
  }
}

/** Takes every file of one connection. Returns how many came whole. */
async function serve(connection: Connection, dir: string, out: Output, signal: AbortSignal): Promise<number> {
  let whole = 0
  const from = connection.peer.user
  const transfers: Promise<void>[] = []
  connection.onStream((stream) => {
    const transfer = receiveFile(stream, dir, from, signal).then(
      ({ path, bytes, sha256, resumedFrom }) => {
        whole += 1
        out.result({ received: path, bytes, sha256, resumedFrom, from }, `received ${path} from ${from} (${bytes} bytes, sha256 ${sha256})`)
      },
      (error: Error) => {
        const code = isCoded(error) ? error.code : 'bug'
        out.note(`a file from ${from} was not received: ${error.message} [${code}]`, { from, code })
      },
    )
    transfers.push(transfer)
  })
  await connection.closed
  await Promise.all(transfers)
  return whole
}
