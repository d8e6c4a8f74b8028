// `sennit simulate`: seeds of the virtual world, on all processors.
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Command } from 'commander'
import { EXIT, usageError } from '../exit-codes.ts'
import { createOutput, type Output, table } from '../output.ts'
import { type Interruption, onInterrupt } from '../signals.ts'
import { interesting, rare, SeedTally } from '../simulate-tally.ts'
import type { PlayedSeed } from '../simulate-worker.ts'

interface SimulateOptions {
  readonly seeds: string
  readonly from: string
  readonly jobs?: string
  readonly json?: boolean
}

/** Compiled beside the folder of this module. */
const workerUrl = new URL('../simulate-worker.js', import.meta.url)
/** A line of progress each so many seeds. */
const progressEvery = 250
/** A world's records live for moments and its machines for its whole life: with room for both, few collections find anything to move. */
const youngMb = 192

export function addSimulateCommand(program: Command): void {
  program
    .command('simulate')
    .option('--seeds <n>', 'how many seeds', '300')
    .option('--from <seed>', 'the first seed', '1')
    .option('--jobs <n>', 'threads (default: one for each processor)')
    .option('--json', 'JSON lines on stdout: each seed that failed, and the summary last')
    .description('play seeds of the virtual world: a random mesh, load and nemesis each; then all is healed and must come true')
    .addHelpText(
      'after',
      '\nExit code 1 when a seed failed. A seed that failed prints the command that plays it again.\n\nExamples:\n  sennit simulate --seeds 1000\n  sennit simulate --seeds 1 --from 4711',
    )
    .action(async (options: SimulateOptions) => {
      const out = createOutput(options.json === true)
      const seeds = wholeNumber(options.seeds, '--seeds')
      const from = wholeNumber(options.from, '--from')
      const jobs = options.jobs === undefined ? availableParallelism() : wholeNumber(options.jobs, '--jobs')
      const interruption = onInterrupt()
      try {
        await simulate({ seeds, from, jobs: Math.max(1, Math.min(jobs, seeds)) }, out, interruption)
      } finally {
        interruption.dispose()
      }
    })
}

async function simulate(wish: { seeds: number; from: number; jobs: number }, out: Output, interruption: Interruption): Promise<void> {
  const tally = new SeedTally()
  const startedMs = performance.now()
  let next = wish.from
  const end = wish.from + wish.seeds
  const workers = Array.from({ length: wish.jobs }, () => new Worker(workerUrl, { resourceLimits: { maxYoungGenerationSizeMb: youngMb } }))
  await Promise.all(
    workers.map(
      (worker) =>
        new Promise<void>((done, fail) => {
          const give = (): void => {
            if (next >= end || interruption.signal.aborted) done()
            else worker.postMessage(next++)
          }
          worker.on('error', fail)
          worker.on('message', (seed: PlayedSeed) => {
            tally.add(seed)
            if (!seed.passed) tellFailure(seed, out)
            if (tally.count % progressEvery === 0) out.note(`${tally.count} of ${wish.seeds} seeds, ${tally.failed.length} failed`)
            give()
          })
          give()
        }),
    ),
  ).finally(() => Promise.all(workers.map((worker) => worker.terminate())))
  tellSummary(tally, (performance.now() - startedMs) / 1000, wish.seeds, out)
  if (interruption.signal.aborted) process.exitCode = EXIT.interrupted
  else if (tally.failed.length > 0 || tally.shortfalls.length > 0) process.exitCode = EXIT.bug
}

function tellFailure(seed: PlayedSeed, out: Output): void {
  const replay = `sennit simulate --seeds 1 --from ${seed.seed}`
  const { property, message, atMs } = seed.violation ?? { property: '', message: '', atMs: 0 }
  const text = [
    `seed ${seed.seed} FAILED at ${(atMs / 1000).toFixed(3)} s: ${property}: ${message}`,
    `  play it again: ${replay}`,
    ...seed.trace.map((line) => `  ${line}`),
  ].join('\n')
  out.result({ seed: seed.seed, passed: false, property, message, atMs, digest: seed.digest, replay, trace: seed.trace }, text)
}

function tellSummary(tally: SeedTally, seconds: number, seeds: number, out: Output): void {
  const { median, passed, failed, shortfalls, coverage, met } = tally
  const summary = {
    passed,
    // A world that was too quiet to prove anything counts like a seed that failed.
    failed: failed.length + (shortfalls.length > 0 ? 1 : 0),
    seeds,
    failedSeeds: failed.map((seed) => seed.seed).sort((a, b) => a - b),
    median,
    seconds: Math.round(seconds * 10) / 10,
    seedsPerSecond: Math.round((tally.count / seconds) * 10) / 10,
    shortfalls,
    met,
    coverage,
  }
  const lines = [
    table(
      ['happened at least once', 'in seeds'],
      [...interesting, ...rare].map((what) => [what, String(coverage[what] ?? 0)]),
    ),
    `${met.happened} of ${met.of} meetings of a way to use relays with a fault; the rarest: "${met.least}" in ${met.leastSeeds} seeds`,
    `the median seed: ${median.clients} clients, ${(median.virtualMs / 1000).toFixed(1)} s of virtual time, ${median.events} events, ${median.messages} messages; ${median.realMs} ms to play`,
    ...shortfalls.map((why) => `FAILED: ${why}`),
    ...(failed.length > 0 ? [`failed seeds: ${summary.failedSeeds.join(', ')}`] : []),
    `${passed} seeds passed, ${failed.length} failed, in ${seconds.toFixed(1)} s`,
  ]
  out.result(summary, lines.join('\n'))
}

function wholeNumber(text: string, option: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw usageError(`expected a whole number for ${option}; found "${text}"`)
  return value
}
