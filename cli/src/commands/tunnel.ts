// `sennit expose` and `sennit forward`: port replication. Both run until interrupted and answer `sennit status`.

import type { Client } from '@sennit/client'
import type { Command } from 'commander'
import { type CommonOptions, openClient, waitMs, withClientOptions } from '../client-options.ts'
import { parseAddress, parseTarget } from '../durations.ts'
import { createOutput, type Output } from '../output.ts'
import { serveStatus, tellEvents, untilRefused } from '../serving.ts'
import { aborted, unlessAborted, untilStopped } from '../signals.ts'

export function addTunnelCommands(program: Command): void {
  withClientOptions(
    program
      .command('expose')
      .argument('<application>', 'name that others use to reach it')
      .argument('<target>', 'HOST:PORT of the TCP service')
      .option('--from <user>', 'who may connect: one user, or * for every registered user', '*'),
  )
    .description('serve a local TCP service to the mesh')
    .addHelpText(
      'after',
      '\nRuns until Ctrl-C. Waits up to --wait for the first relay.\n\nExamples:\n  sennit expose web 127.0.0.1:8080 --credential mesh/users/bob.cred --mesh mesh\n  sennit expose postgres 127.0.0.1:5432 --from alice --credential bob.cred --mesh mesh',
    )
    .action(async (application: string, target: string, options: CommonOptions & { from: string }) => {
      await exposeService(application, target, options)
    })
  withClientOptions(
    program
      .command('forward')
      .argument('<listen>', 'local [ADDR:]PORT to listen on; port 0 takes a free one')
      .argument('<target>', 'USER/APP to reach'),
  )
    .description('a local TCP port that reaches a service of the mesh; all sockets share one connection')
    .addHelpText(
      'after',
      '\nListens at once and holds a socket up to --wait for the peer, then resets it. Runs until Ctrl-C.\n\nExamples:\n  sennit forward 8080 bob/web --credential mesh/users/alice.cred --mesh mesh\n  sennit forward 127.0.0.1:5432 bob/postgres --credential alice.cred --mesh mesh --wait 1m',
    )
    .action(async (listen: string, target: string, options: CommonOptions) => {
      await forwardPort(listen, target, options)
    })
}

async function exposeService(application: string, targetText: string, options: CommonOptions & { from: string }): Promise<void> {
  const out = createOutput(options.json === true)
  const target = parseAddress(targetText, 'HOST:PORT')
  const openMs = waitMs(options)
  await run('expose', options, out, { openMs }, async (client, signal) => {
    const { expose } = await import('@sennit/client/forward')
    const service = await expose({ client, application, target, from: options.from, signal, log: (text, facts) => out.note(text, facts) })
    const at = `${target.host}:${target.port}`
    out.result({ ready: true, application, target: at }, `${application} serves ${at}; Ctrl-C ends it`)
    return service
  })
}

async function forwardPort(listenText: string, targetText: string, options: CommonOptions): Promise<void> {
  const out = createOutput(options.json === true)
  const listen = parseAddress(listenText, '[ADDR:]PORT')
  const { user, application } = parseTarget(targetText)
  const holdMs = waitMs(options)
  await run('forward', options, out, { openMs: 0 }, async (client) => {
    const { forward } = await import('@sennit/client/forward')
    const service = await forward({ client, listen, user, application, waitMs: holdMs, log: (text, facts) => out.note(text, facts) })
    const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host
    const at = `${host}:${service.port}`
    out.result(
      { ready: true, listen: at, port: service.port, target: `${user}/${application}` },
      `${at} reaches ${user}/${application}; Ctrl-C ends it`,
    )
    return service
  })
}

type Start = (client: Client, signal: AbortSignal) => Promise<{ close(): Promise<void> }>

async function run(command: string, options: CommonOptions, out: Output, extra: { openMs: number }, start: Start): Promise<void> {
  await untilStopped(async (signal) => {
    const client = await openClient(options, { signal, extra })
    const stopTelling = tellEvents(client, out)
    const control = await serveStatus(command, options, client, out)
    let service: { close(): Promise<void> } | undefined
    try {
      service = await unlessAborted(start(client, signal), signal)
      await Promise.race([aborted(signal), untilRefused(client)])
    } finally {
      stopTelling()
      await service?.close()
      await client.close()
      await control.close()
    }
  })
}
