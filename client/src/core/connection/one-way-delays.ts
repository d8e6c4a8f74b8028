/**
 * The two halves of a round trip, from when the peer says that packets arrived, by its own clock. What its clock is ahead of ours is in each half
 * and not in their sum, so the least way there and the least way back, met at different times, are the round trip of an idle path; and what acks
 * take longer than at their quickest, they waited behind what the peer itself sends (as LEDBAT measures delay, RFC 6817 §2.4).
 */
import { WindowedMinimum } from './windowed-minimum.ts'

/** Neither half gets shorter than its least by more than the round trip, unless a clock stood still: then all is measured anew. */
const jumpFloorMs = 100

export class OneWayDelays {
  readonly #there = new WindowedMinimum()
  readonly #back = new WindowedMinimum()
  #backMs = 0

  /**
   * @param rttMs of a packet, without what its ack waited for at the peer
   * @param thereMs from our clock when it was sent to the peer's when it arrived
   */
  sample(nowMs: number, rttMs: number, thereMs: number): void {
    const backMs = rttMs - thereMs
    const slackMs = Math.max(rttMs, jumpFloorMs)
    const jumped = thereMs < this.#there.current - slackMs || backMs < this.#back.current - slackMs
    if (jumped && this.minRoundTripMs !== undefined) {
      this.#there.reset()
      this.#back.reset()
    }
    this.#backMs = this.#back.value === undefined ? backMs : this.#backMs + (backMs - this.#backMs) / 8
    this.#there.sample(nowMs, thereMs)
    this.#back.sample(nowMs, backMs)
  }

  /** The round trip of the path when nobody uses it; undefined before the first sample. */
  get minRoundTripMs(): number | undefined {
    const there = this.#there.value
    return there === undefined ? undefined : there + this.#back.value!
  }

  /** How much longer than at their quickest acks are on their way, smoothed. */
  get backQueueMs(): number {
    const back = this.#back.value
    return back === undefined ? 0 : Math.max(0, this.#backMs - back)
  }
}
