// Limits that end the run: those whose row says `abort`, once they are broken for as long as `abort_delay` says.
import { limitState, measureLimit } from './limits.ts'
import type { RunRecorder } from './run-recorder.ts'
import type { EndedEarly } from './run-result.ts'

export class AbortWatch {
  readonly #recorder: RunRecorder
  readonly #brokenSinceMs = new Map<string, number>()

  constructor(recorder: RunRecorder) {
    this.#recorder = recorder
  }

  /** Once a second. Says why the run ends now; undefined: it goes on. */
  look(nowMs: number): Omit<EndedEarly, 'atMs'> | undefined {
    const recorder = this.#recorder
    for (const limit of recorder.plan.limits) {
      if (limit.abortAfterMs === undefined) continue
      const result = measureLimit(limit, recorder, nowMs)
      if (limitState(limit, result) !== 'broken') {
        this.#brokenSinceMs.delete(limit.limit)
        continue
      }
      const sinceMs = this.#brokenSinceMs.get(limit.limit) ?? nowMs
      this.#brokenSinceMs.set(limit.limit, sinceMs)
      if (nowMs - sinceMs < limit.abortAfterMs) continue
      const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`
      const lasted = limit.abortAfterMs === 0 ? '' : ` for ${seconds(nowMs - sinceMs)}`
      const why = `limit ${limit.limit} was broken${lasted} and ended the run at ${seconds(nowMs)} of ${seconds(recorder.plan.run.durationMs)}`
      return { by: 'limit', why, limit: limit.limit, ...(result.measured === null ? {} : { measured: result.measured }) }
    }
    return undefined
  }
}
