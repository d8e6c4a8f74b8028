// Work on what comes from outside, in a worker thread with limits of memory and time: a few kilobytes of a file may claim gigabytes.
import { Worker } from 'node:worker_threads'

/** A legal 5 MiB workbook takes about 2 s and 200 MB on a slow machine. */
const timeMaxMs = 20_000
const memoryMaxMb = 512

export interface WorkerThreads<T> {
  readonly workerData: T
  readonly parentPort: { postMessage(message: unknown): void }
}

type Load = (path: string) => unknown

/**
 * Runs `main` in a worker, as text: it may use nothing of the file it stands in. What it posts is the answer; whatever goes wrong is one sentence.
 */
export function inWorker<T, Answer extends object>(
  main: (load: Load, threads: WorkerThreads<T>) => void,
  workerData: T,
): Promise<Answer | { error: string }> {
  return new Promise((resolve) => {
    const worker = new Worker(`(${main.toString()})(require, require('node:worker_threads'))`, {
      eval: true,
      env: {},
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: memoryMaxMb },
      stdout: true,
      stderr: true,
    })
    let ended = false
    const end = (outcome: Answer | { error: string }): void => {
      if (ended) return
      ended = true
      clearTimeout(timer)
      resolve(outcome)
      void worker.terminate()
    }
    const timer = setTimeout(() => end({ error: `reading it took more than ${timeMaxMs / 1000} s` }), timeMaxMs)
    worker.once('message', end)
    worker.once('error', (error) => {
      const memory = (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY'
      end({ error: memory ? `it needs more than ${memoryMaxMb} MB of memory` : oneLine(error) })
    })
    worker.once('exit', () => end({ error: 'the reader ended without an answer' }))
  })
}

function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n')[0]!.slice(0, 200)
}
