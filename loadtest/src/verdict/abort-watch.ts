// Limits that end the run: those whose row says `abort`, once they are broken for as long as `abort_delay` says.
import { limitState, measureLimit } from './limits.ts'
import type { RunRecorder } from './run-recorder.ts'
import type { EndedEarly } from './run-result.ts'

export class AbortWatch {
  readonly #brokenSinceMs = new Map<string, number>()

  /** Once a second, with a recorder that has seen the whole run. Says why it ends now; undefined: it goes on. */
  look(recorder: RunRecorder, nowMs: number): Omit<EndedEarly, 'atMs'> | undefined {
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
