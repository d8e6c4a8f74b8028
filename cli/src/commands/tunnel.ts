// `sennit expose` and `sennit forward`: port replication. Both run until interrupted and answer `sennit status`.

import type { Client } from '@sennit/client'
import { expose, forward } from '@sennit/client/forward'
import type { Command } from 'commander'
import { type CommonOptions, openClient, runDirectory, waitMs, withClientOptions } from '../client-options.ts'
import { type ControlSocket, openControlSocket } from '../control-socket.ts'
import { parseAddress, parseTarget } from '../durations.ts'
import { createOutput } from '../output.ts'
import { aborted, onInterrupt } from '../signals.ts'

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
      '\nExamples:\n  sennit expose web 127.0.0.1:8080 --credential mesh/users/bob.cred --mesh mesh\n  sennit expose postgres 127.0.0.1:5432 --from alice --credential bob.cred --mesh mesh',
    )
    .action(async (application: string, target: string, options: CommonOptions & { from: string }) => {
      const out = createOutput(options.json === true)
      const { host, port } = parseAddress(target, 'HOST:PORT')
      await run('expose', options, async (client) => {
        const service = await expose({
          client,
          application,
          target: { host, port },
          from: options.from,
          log: (text, facts) => out.note(text, facts),
        })
        out.result({ ready: true, application, target: `${host}:${port}` }, `${application} serves ${host}:${port}; Ctrl-C ends it`)
        return service
      })
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
      '\nExamples:\n  sennit forward 8080 bob/web --credential mesh/users/alice.cred --mesh mesh\n  sennit forward 127.0.0.1:5432 bob/postgres --credential alice.cred --mesh mesh --wait 1m',
    )
    .action(async (listen: string, target: string, options: CommonOptions) => {
      const out = createOutput(options.json === true)
      const address = parseAddress(listen, '[ADDR:]PORT')
      const { user, application } = parseTarget(target)
      await run('forward', options, async (client) => {
        const service = await forward({
          client,
          listen: address,
          user,
          application,
          waitMs: waitMs(options),
          log: (text, facts) => out.note(text, facts),
        })
        const at = `${address.host}:${service.port}`
        out.result({ ready: true, listen: at, target: `${user}/${application}` }, `${at} reaches ${user}/${application}; Ctrl-C ends it`)
        return service
      })
    })
}

async function run(command: string, options: CommonOptions, start: (client: Client) => Promise<{ close(): Promise<void> }>): Promise<void> {
  const interruption = onInterrupt()
  let client: Client | undefined
  let service: { close(): Promise<void> } | undefined
  let control: ControlSocket | undefined
  try {
    const opened = await openClient(options, false)
    client = opened
    control = await openControlSocket(runDirectory(options), () => ({ pid: process.pid, command, ...opened.status() }))
    service = await start(opened)
    await aborted(interruption.signal)
  } finally {
    await service?.close()
    await client?.close()
    await control?.close()
    interruption.dispose()
  }
}
