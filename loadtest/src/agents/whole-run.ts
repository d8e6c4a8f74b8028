// The run as a whole while it lasts: what agents told last, put together as at its end. Limits that end it and conditions of faults are about this.
import type { Limit, Plan } from '../plan.ts'
import { addRecorderState, type RecorderState, watchedParts } from '../verdict/recorder-state.ts'
import { RunRecorder } from '../verdict/run-recorder.ts'
import type { TimelineSecond } from '../verdict/timeline.ts'
import { mergeSeconds } from './merge-seconds.ts'

/** Of the seconds that were told: the last ones hold the newest that all have told, even when one of them is slow to tell. */
const secondsLooked = 5

export class WholeRun {
  readonly #own: RunRecorder
  readonly #plan: Plan
  readonly #isWatched: boolean
  readonly #allSeconds: boolean
  readonly #hasMessages: boolean
  readonly #told = new Map<number, RecorderState>()

  /** `own` knows the acts and the relays' processes. */
  constructor(own: RunRecorder) {
    this.#own = own
    this.#plan = own.plan
    const parts = watchedParts(own.plan)
    this.#isWatched = parts !== undefined
    this.#hasMessages = parts?.messages === true
    this.#allSeconds = own.plan.limits.some(({ metric }: Limit) => metric === 'path_share')
  }

  told(rank: number, state: RecorderState | undefined): void {
    if (state !== undefined) this.#told.set(rank, state)
  }

  /**
   * undefined: nothing of the plan is about it, or not all of these have told anything yet.
   * @param seconds of each agent that is there, by rank
   */
  look(seconds: ReadonlyMap<number, readonly TimelineSecond[]>): RunRecorder | undefined {
    const ranks = [...seconds.keys()]
    if (!this.#isWatched || ranks.length === 0 || !ranks.every((rank) => this.#told.has(rank))) return undefined
    const { options, acts, relaySamples, relaysNow } = this.#own
    // Records of messages are the most of a recorder, and hardly a limit is about them.
    const whole = new RunRecorder(this.#plan, { ...options, ...(this.#hasMessages ? {} : { mine: new Set() }) })
    for (const { act } of acts.slice(whole.acts.length)) whole.addAct(act)
    for (const record of acts)
      Object.assign(whole.acts[record.act.act]!, { startMs: record.startMs, endMs: record.endMs, target: record.target })
    for (const rank of ranks) {
      try {
        addRecorderState(whole, this.#told.get(rank)!, '', () => false)
      } catch {
        // What makes no sense is said at the end of the run, of what it told then.
        this.#told.delete(rank)
        return undefined
      }
    }
    for (const [relay, sample] of relaySamples) whole.relaySamples.set(relay, sample)
    for (const [relay, sample] of relaysNow) whole.relaysNow.set(relay, sample)
    const lists = [...seconds.values()]
    const until = Math.min(...lists.map((list) => list.at(-1)?.row.second ?? -1))
    const heard = lists.map((list) => (this.#allSeconds ? list : list.slice(-secondsLooked)).filter(({ row }) => row.second <= until))
    whole.timeline.adopt(mergeSeconds(heard))
    return whole
  }
}
