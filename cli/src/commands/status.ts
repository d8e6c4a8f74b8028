// `sennit ping`, `relays` and `status`: what is connected, through which relay, and why.
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@sennit/client'
import { type Command, Option } from 'commander'
import { type CommonOptions, openClient, runDirectory, waitMs, withClientOptions } from '../client-options.ts'
import { askControlSockets } from '../control-socket.ts'
import { parseDuration, parseTarget } from '../durations.ts'
import { codedError, usageError } from '../exit-codes.ts'
import { createOutput, jsonOption, type Output, table } from '../output.ts'
import { unlessAborted, untilDone } from '../signals.ts'
import { clientStatuses, describeClients } from '../status-text.ts'

/** More round trips tell nothing new, and a typo must not run for a day. */
const pingsMax = 10_000
/** A relay on this machine is measured within this. */
const lookEveryMs = 20

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
    .addOption(jsonOption())
    .description('ask every command that runs on this mesh directory: relays, paths, fail-overs, ranking')
    .addHelpText('after', '\nExamples:\n  sennit status --mesh mesh\n  sennit status --mesh mesh --json')
    .action(async (options: CommonOptions) => {
      await status(options)
    })
}

async function status(options: CommonOptions): Promise<void> {
  const directory = runDirectory(options)
  if (options.mesh === undefined || directory === undefined) throw usageError('expected --mesh DIR (or SENNIT_MESH); found neither')
  if (!existsSync(options.mesh)) throw usageError(`expected a mesh directory at ${options.mesh}; found nothing`)
  const out = createOutput(options.json === true)
  const { answers, silent } = await askControlSockets(directory)
  for (const pid of silent) out.note(`process ${pid} has a control socket but does not answer: it is frozen, or very busy`, { pid })
  const clients = clientStatuses(answers)
  out.result({ clients }, clients.length === 0 ? 'no client runs on this mesh directory' : describeClients(clients))
}

async function ping(target: string, options: CommonOptions & { count: string; interval: string }): Promise<void> {
  const out = createOutput(options.json === true)
  const { user, application } = parseTarget(target)
  const count = Number(options.count)
  if (!Number.isInteger(count) || count < 1 || count > pingsMax)
    throw usageError(`--count: expected a whole number from 1 to ${pingsMax}; found "${options.count}"`)
  const intervalMs = parseDuration(options.interval, '--interval')
  const wait = waitMs(options)
  await untilDone(async (signal) => {
    const client = await openClient(options, { shortLived: true, signal, extra: { openMs: wait } })
    try {
      const startedMs = performance.now()
      const connection = await client.connect({ user, application, waitMs: wait, signal })
      const connectMs = rounded(performance.now() - startedMs)
      out.result(
        { connected: true, peer: nameOf(connection.peer), application, connectMs },
        `connected to ${user}/${application} in ${connectMs} ms`,
      )
      const times: number[] = []
      while (times.length < count && !signal.aborted) {
        if (times.length > 0) await sleep(intervalMs, undefined, { signal }).catch(() => {})
        if (signal.aborted) break
        const { rttMs, relay } = await unlessAborted(connection.ping({ timeoutMs: wait }), signal)
        out.result({ seq: times.length, rttMs: rounded(rttMs), relay }, `seq ${times.length}  ${rounded(rttMs)} ms  via ${relay}`)
        times.push(rttMs)
      }
      if (times.length > 0) tellSummary(times, out)
    } finally {
      await client.close()
    }
  })
}

function tellSummary(times: number[], out: Output): void {
  times.sort((a, b) => a - b)
  const at = (share: number): number => rounded(times[Math.floor((times.length - 1) * share)] ?? 0)
  const [minMs, medianMs, maxMs] = [at(0), at(0.5), at(1)]
  out.result(
    { summary: true, count: times.length, minMs, medianMs, maxMs },
    `${times.length} round trips: min ${minMs}  median ${medianMs}  max ${maxMs} ms`,
  )
}

async function relays(options: CommonOptions & { measure: string }): Promise<void> {
  const out = createOutput(options.json === true)
  const measureMs = parseDuration(options.measure, '--measure')
  await untilDone(async (signal) => {
    const client = await openClient(options, { shortLived: true, signal, extra: { attach: 'all' } })
    try {
      await measured(client, measureMs, signal)
      const found = client.relays()
      if (found.every((relay) => relay.state !== 'attached' && relay.state !== 'draining'))
        throw codedError('no_relay', `none of ${found.length} relays answered within ${measureMs} ms`, { relays: found })
      out.result(
        { relays: found },
        table(
          ['relay', 'state', 'carrier', 'rtt ms', ...(options.bind === undefined ? [] : ['from']), 'url', 'why'],
          found.map(({ relay, state, carrier = '-', rttMs, localAddress, url, why = '' }) => [
            relay,
            state,
            carrier,
            rttMs?.toFixed(2) ?? '-',
            ...(localAddress === undefined ? [] : [localAddress]),
            url,
            why,
          ]),
        ),
      )
    } finally {
      await client.close()
    }
  })
}

/** Resolves when every relay has been measured, or the time is over. */
async function measured(client: Client, measureMs: number, signal: AbortSignal): Promise<void> {
  const untilMs = performance.now() + measureMs
  while (performance.now() < untilMs && client.relays().some((relay) => relay.rttMs === undefined)) {
    await sleep(lookEveryMs, undefined, { signal })
  }
}

function nameOf({ user, label }: { user: string; label: string }): string {
  return label === '' ? user : `${user}/${label}`
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100
}
