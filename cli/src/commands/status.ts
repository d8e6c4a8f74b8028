// `sennit ping`, `relays` and `status`: what is connected, through which relay, and why.
import type { Client } from '@sennit/client'
import { SennitError } from '@sennit/protocol'
import { type Command, Option } from 'commander'
import { type CommonOptions, openClient, runDirectory, waitMs, withClientOptions } from '../client-options.ts'
import { askControlSockets } from '../control-socket.ts'
import { parseDuration, parseTarget } from '../durations.ts'
import { usageError } from '../exit-codes.ts'
import { createOutput, table } from '../output.ts'
import { onInterrupt } from '../signals.ts'
import { describeClients } from '../status-text.ts'

/** More round trips tell nothing new, and a typo must not run for a day. */
const pingsMax = 10_000

export function addStatusCommands(program: Command): void {
  withClientOptions(
    program
      .command('ping')
      .argument('<target>', 'USER/APP')
      .option('--count <n>', 'round trips to measure', '5')
      .option('--interval <duration>', 'time between them', '200ms'),
  )
    .description('connect to an application and measure the way there')
    .addHelpText(
      'after',
      '\nExamples:\n  sennit ping bob/web --credential mesh/users/alice.cred --mesh mesh\n  sennit ping bob/web --count 20 --json --credential alice.cred --mesh mesh',
    )
    .action(async (target: string, options: CommonOptions & { count: string; interval: string }) => {
      await ping(target, options)
    })
  withClientOptions(program.command('relays').option('--measure <duration>', 'how long to try and measure each', '2s'))
    .description('try every relay of the list and show what was measured')
    .addHelpText('after', '\nExamples:\n  sennit relays --credential mesh/users/alice.cred --mesh mesh')
    .action(async (options: CommonOptions & { measure: string }) => {
      await relays(options)
    })
  program
    .command('status')
    .addOption(new Option('--mesh <dir>', 'mesh directory').env('SENNIT_MESH'))
    .option('--json', 'one JSON line on stdout')
    .description('ask every command that runs on this mesh directory: relays, paths, fail-overs, ranking')
    .addHelpText('after', '\nExamples:\n  sennit status --mesh mesh\n  sennit status --mesh mesh --json')
    .action(async (options: CommonOptions) => {
      const directory = runDirectory(options)
      if (directory === undefined) throw usageError('expected --mesh DIR (or SENNIT_MESH); found neither')
      const out = createOutput(options.json === true)
      const { clients, silent } = await askControlSockets(directory)
      for (const pid of silent) out.note(`process ${pid} has a control socket but does not answer: it is frozen, or very busy`, { pid })
      out.result({ clients }, clients.length === 0 ? 'no client runs on this mesh directory' : describeClients(clients))
    })
}

async function ping(target: string, options: CommonOptions & { count: string; interval: string }): Promise<void> {
  const out = createOutput(options.json === true)
  const { user, application } = parseTarget(target)
  const count = Number(options.count)
  if (!Number.isInteger(count) || count < 1 || count > pingsMax)
    throw usageError(`--count: expected a whole number from 1 to ${pingsMax}; found "${options.count}"`)
  const intervalMs = parseDuration(options.interval, '--interval')
  const interruption = onInterrupt()
  let client: Client | undefined
  try {
    client = await openClient(options, true)
    const startedMs = performance.now()
    const connection = await client.connect({ user, application, waitMs: waitMs(options), signal: interruption.signal })
    const connectMs = performance.now() - startedMs
    out.result(
      { connected: true, peer: connection.peer.user, application, connectMs },
      `connected to ${user}/${application} in ${connectMs.toFixed(1)} ms`,
    )
    const times: number[] = []
    for (let index = 0; index < count && !interruption.signal.aborted; index += 1) {
      if (index > 0) await pause(intervalMs, interruption.signal)
      const { rttMs, relay } = await connection.ping({ timeoutMs: 10_000 })
      times.push(rttMs)
      out.result({ seq: index, rttMs, relay }, `seq ${index}  ${rttMs.toFixed(2)} ms  via ${relay}`)
    }
    times.sort((a, b) => a - b)
    const middle = times[Math.floor(times.length / 2)] ?? Number.NaN
    const [first = Number.NaN] = times
    const last = times.at(-1) ?? Number.NaN
    out.result(
      { summary: true, count: times.length, minMs: first, medianMs: middle, maxMs: last },
      `${times.length} round trips: min ${first.toFixed(2)}  median ${middle.toFixed(2)}  max ${last.toFixed(2)} ms`,
    )
    await connection.close()
  } finally {
    await client?.close()
    interruption.dispose()
  }
}

async function relays(options: CommonOptions & { measure: string }): Promise<void> {
  const out = createOutput(options.json === true)
  const interruption = onInterrupt()
  const measureMs = parseDuration(options.measure, '--measure')
  let client: Client | undefined
  try {
    client = await openClient(options, true, { attachAll: true })
    await pause(measureMs, interruption.signal)
    const measured = client.relays()
    if (measured.every((relay) => relay.state !== 'attached'))
      throw new SennitError('no_relay', `none of ${measured.length} relays answered within ${measureMs} ms`)
    out.result(
      { relays: measured },
      table(
        ['relay', 'state', 'carrier', 'rtt ms', 'url', 'why'],
        measured.map((relay) => [
          relay.relay,
          relay.state,
          relay.carrier ?? '-',
          relay.rttMs?.toFixed(2) ?? '-',
          relay.url,
          relay.why ?? '',
        ]),
      ),
    )
  } finally {
    await client?.close()
    interruption.dispose()
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((done) => {
    const timer = setTimeout(done, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        done()
      },
      { once: true },
    )
  })
}
