/**
 * What this end measured of its legs to relays. Up-spikes count at once and decay (peak-EWMA, after Finagle), because a relay that was slow
 * a moment ago is a bad choice now; a five-minute minimum says what a relay can do and decides which ones to sit on.
 */

/** One leg as it goes into a report and into the cost. */
export interface LegEstimate {
  readonly rttMs: number
  readonly varMs: number
  /** Share of recent trouble, 0 … 1: attachments that were lost, decaying. */
  readonly loss: number
  readonly ageMs: number
}

/** Decay of an up-spike: ten seconds, reliability.md "Choosing a relay". */
const spikeDecayMs = 10_000
/** Trouble is forgotten over a minute, as the back-off forgets it. */
const lossDecayMs = 60_000
/** What one lost attachment adds: five of them in a minute count as every second packet lost. */
const lossStep = 0.1
/** Two half windows make a rolling minimum over 5 to 10 minutes without keeping samples. */
const minimumWindowMs = 300_000
/**
 * Start of the variation, before a second sample tells. RFC 9002 starts a timer at half the round trip; in a cost that would make every
 * relay measured once dearer than any that is measured often.
 */
const firstVariationShare = 1 / 16
/**
 * The first pings of a process run cold: the handshakes with all relays and the compiler are in them, a third of a second on a busy machine
 * where 5 ms were planted. Until so many are taken, the least one speaks for the relay.
 */
const coldSamples = 4

/** Estimates one leg from round-trip samples. */
export class LegEstimator {
  #rttMs = 0
  #smoothMs = 0
  #varMs = 0
  #samples = 0
  #sampledAtMs = 0
  #loss = 0
  #lossAtMs = 0
  #minMs = Number.POSITIVE_INFINITY
  #previousMinMs = Number.POSITIVE_INFINITY
  #windowEndsMs = 0

  /** Samples taken so far. */
  get samples(): number {
    return this.#samples
  }

  /** A round trip was measured. */
  sample(nowMs: number, rttMs: number): void {
    if (!(rttMs >= 0)) return
    if (nowMs >= this.#windowEndsMs) {
      this.#previousMinMs = this.#minMs
      this.#minMs = Number.POSITIVE_INFINITY
      this.#windowEndsMs = nowMs + minimumWindowMs
    }
    this.#minMs = Math.min(this.#minMs, rttMs)
    if (this.#samples < coldSamples) {
      const leastMs = this.#samples === 0 ? rttMs : Math.min(this.#rttMs, rttMs)
      this.#rttMs = leastMs
      this.#smoothMs = leastMs
      this.#varMs = leastMs * firstVariationShare
    } else {
      this.#varMs += (Math.abs(rttMs - this.#smoothMs) - this.#varMs) / 4
      this.#smoothMs += (rttMs - this.#smoothMs) / 8
      const share = 1 - Math.exp(-Math.max(0, nowMs - this.#sampledAtMs) / spikeDecayMs)
      // A rise counts whole at once; a fall decays, but at least as fast as the smoothed mean follows.
      this.#rttMs = rttMs >= this.#rttMs ? rttMs : this.#rttMs + (rttMs - this.#rttMs) * Math.max(share, 1 / 8)
    }
    this.#samples += 1
    this.#sampledAtMs = nowMs
  }

  /** An attachment was lost. Dials that fail count for nothing: a relay that is away is not in the ranking. */
  trouble(nowMs: number): void {
    this.#loss = Math.min(1, this.#lossNow(nowMs) + lossStep)
    this.#lossAtMs = nowMs
  }

  /** The leg now, or undefined before the first sample. */
  estimate(nowMs: number): LegEstimate | undefined {
    if (this.#samples === 0) return undefined
    return { rttMs: this.#rttMs, varMs: this.#varMs, loss: this.#lossNow(nowMs), ageMs: Math.max(0, nowMs - this.#sampledAtMs) }
  }

  /** The least round trip of the last minutes, or undefined. */
  minimumMs(): number | undefined {
    const least = Math.min(this.#minMs, this.#previousMinMs)
    return Number.isFinite(least) ? least : undefined
  }

  #lossNow(nowMs: number): number {
    const now = this.#loss * Math.exp(-(nowMs - this.#lossAtMs) / lossDecayMs)
    return now < 0.001 ? 0 : now
  }
}
