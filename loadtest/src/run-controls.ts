// What a person may do to a run while it lasts.
import { SennitError } from '@sennit/protocol'
import { type Engine, familyOf, refuseAct } from './fault-actions.ts'
import type { Drill, FaultAct } from './plan.ts'
import type { RunRecorder } from './verdict/run-recorder.ts'

export interface RunControls {
  /** What {@link RunControls.inject} takes, in the order of the sheet `Faults`. */
  readonly drills: readonly Drill[]
  readonly rampPaused: boolean
  /** Clients that are due wait from now on; those that came stay. */
  pauseRamp(): void
  /** The ramp goes on where it stood: every client is as much later as the ramp was paused. */
  resumeRamp(): void
  /**
   * Begins what a row of `Faults` says, now. It stands in the fault log as unplanned.
   *
   * @throws SennitError `not_allowed` when the load is over, when too much was begun by hand, or when this run cannot do it
   */
  inject(fault: string): void
  /** Ends the load early: faults are healed, what is under way is waited for, and the verdict is about what there was. */
  stop(): void
}

/** More is no drill but a program: it belongs into the sheet. */
const unplannedActsMax = 1_000

export interface ControlledRun {
  readonly recorder: RunRecorder
  /** As `Ramp` has it. */
  readonly ramp: { readonly paused: boolean; pause(): void; resume(): void }
  readonly engine: Engine
  /** Whether the relays are processes of this run. */
  readonly ownRelays: boolean
  readonly now: () => number
  /** An act that is begun by hand begins so much later, where others have to be told first. @default 0 */
  readonly aheadMs?: number
  /** Begins the act at its time. */
  readonly begin: (act: FaultAct) => void
  readonly stop: () => void
}

export function controlsOf({ recorder, ramp, engine, ownRelays, now, aheadMs = 0, begin, stop }: ControlledRun): RunControls {
  const { drills = [], acts: planned } = recorder.plan
  return {
    drills,
    get rampPaused() {
      return ramp.paused
    },
    pauseRamp() {
      ramp.pause()
      recorder.rampPaused = true
    },
    resumeRamp() {
      ramp.resume()
      recorder.rampPaused = false
    },
    inject(fault) {
      const refuse = (why: string): never => {
        throw new SennitError('not_allowed', `fault ${fault}: ${why}`)
      }
      const drill = drills.find((one) => one.fault.toLowerCase() === fault.toLowerCase())
      if (drill === undefined) return refuse('expected the name of a row of the sheet Faults')
      if (now() >= recorder.loadEndMs) refuse('the load is over')
      if (now() < 0) refuse('the run has not begun')
      if (recorder.acts.length - planned.length + drill.acts.length > unplannedActsMax)
        refuse(`at most ${unplannedActsMax} acts may be begun by hand`)
      for (const act of drill.acts) {
        refuseAct(act, engine)
        if (!ownRelays && familyOf(act) === 'process') refuse('it needs relays that the test set started itself')
      }
      for (const act of drill.acts) begin(recorder.addAct({ ...act, atMs: now() + aheadMs + act.atMs }))
    },
    stop() {
      if (now() < recorder.loadEndMs) stop()
    },
  }
}
