// Where a mesh breaks, as a search over factors on its rates: doubled until it breaks (or halved until it does not), then the gap is halved until it is
// narrow enough. Pure: it says which factor to try next and is told how it went.

/** `bad`: it broke. `unsure`: what was measured says nothing about the mesh, such as when the generator could not keep pace. */
export type KneeOutcome = 'good' | 'bad' | 'unsure'

export interface KneeSearchOptions {
  /** The first factor. @default 1 */
  readonly from?: number
  /** The gap between good and bad that is narrow enough, as a share of the good one. @default 0.05 */
  readonly precision?: number
  /** A break must come twice before it counts: real machines have bad moments. @default false */
  readonly confirm?: boolean
  /** Runs, at most. @default 24 */
  readonly runsMax?: number
  /** Nothing is tried beyond `from` times, or below `from` divided by, this. @default 1024 */
  readonly spanMax?: number
}

/** `found`: a good and a bad one, near enough. `unbroken`: good at the largest. `never_good`: bad at the smallest. `unsure`: what lies above the good one
 * could not be measured. `runs`: they were used up. */
export type KneeEnd = 'found' | 'unbroken' | 'never_good' | 'unsure' | 'runs'

export class KneeSearch {
  readonly #from: number
  readonly #precision: number
  readonly #confirm: boolean
  readonly #runsMax: number
  readonly #spanMax: number
  #good: number | undefined
  #bad: number | undefined
  #unsure: number | undefined
  #doubted: number | undefined
  #runs = 0

  constructor({ from = 1, precision = 0.05, confirm = false, runsMax = 24, spanMax = 1024 }: KneeSearchOptions = {}) {
    this.#from = from
    this.#precision = precision
    this.#confirm = confirm
    this.#runsMax = runsMax
    this.#spanMax = spanMax
  }

  /** The largest factor that held. */
  get good(): number | undefined {
    return this.#good
  }

  /** The smallest factor that broke. */
  get bad(): number | undefined {
    return this.#bad
  }

  /** The factor to try next; undefined when the search is over. */
  next(): number | undefined {
    return this.end === undefined ? this.#candidate() : undefined
  }

  /** How the search ended; undefined while it goes on. */
  get end(): KneeEnd | undefined {
    const [good, ceiling] = [this.#good, this.#ceiling]
    if (good !== undefined && ceiling !== undefined && ceiling / good <= 1 + this.#precision)
      return ceiling === this.#bad ? 'found' : 'unsure'
    if (good === undefined && ceiling !== undefined && ceiling <= this.#from / this.#spanMax)
      return ceiling === this.#bad ? 'never_good' : 'unsure'
    if (ceiling === undefined && good !== undefined && good >= this.#from * this.#spanMax) return 'unbroken'
    return this.#runs >= this.#runsMax ? 'runs' : undefined
  }

  /** How the run at this factor went. */
  took(factor: number, outcome: KneeOutcome): void {
    this.#runs += 1
    const doubted = this.#doubted
    this.#doubted = undefined
    if (outcome === 'bad' && this.#confirm && doubted !== factor) {
      this.#doubted = factor
      return
    }
    if (outcome === 'good') this.#good = Math.max(this.#good ?? 0, factor)
    else if (outcome === 'bad') this.#bad = Math.min(this.#bad ?? Number.POSITIVE_INFINITY, factor)
    else this.#unsure = Math.min(this.#unsure ?? Number.POSITIVE_INFINITY, factor)
  }

  get #ceiling(): number | undefined {
    if (this.#bad === undefined || this.#unsure === undefined) return this.#bad ?? this.#unsure
    return Math.min(this.#bad, this.#unsure)
  }

  #candidate(): number {
    if (this.#doubted !== undefined) return this.#doubted
    const [good, ceiling] = [this.#good, this.#ceiling]
    if (good === undefined) return ceiling === undefined ? this.#from : ceiling / 2
    return ceiling === undefined ? good * 2 : Math.sqrt(good * ceiling)
  }
}
