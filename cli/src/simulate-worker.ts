// One thread of `sennit simulate`: takes seeds one by one and gives back what became of each.
import { parentPort } from 'node:worker_threads'
import { type SeedResult, simulateSeed } from '@sennit/loadtest/virtual'

/** What became of one seed. */
export type PlayedSeed = SeedResult & { readonly realMs: number }

/** Lines of the trace that a failing seed brings along. */
const traceLines = 80
/** One seed in so many (those whose number it divides) is played twice, and the two runs must be the same to the last event. */
const twiceEvery = 100

parentPort?.on('message', (seed: number) => {
  parentPort?.postMessage(play(seed))
})

function play(seed: number): PlayedSeed {
  const startedMs = performance.now()
  const first = simulateSeed(seed)
  const realMs = performance.now() - startedMs
  if (first.passed && seed % twiceEvery !== 0) return { ...first, realMs }
  // A trace costs time, so only a seed that failed is played again for it; being deterministic, it fails in the same way.
  const second = simulateSeed(seed, { trace: !first.passed })
  if (second.digest === first.digest) return { ...first, trace: second.trace.slice(-traceLines), realMs }
  const message = `two runs of the seed gave the digests ${first.digest} and ${second.digest}: something outside of the seed has a say`
  return { ...first, passed: false, violation: first.violation ?? { property: 'reproducible', message, atMs: first.virtualMs }, realMs }
}
