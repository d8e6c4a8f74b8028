// The far end: checks every byte of every stream that comes, and remembers when they came.
import { Arrivals } from '../arrivals.ts'
import { nowMs } from '../clock.ts'
import { type Lateness, watchLateness } from '../lateness.ts'
import { StreamChecker } from '../stream-checker.ts'
import { type Ask, say, serveAsks } from './lines.ts'

/** One stream at the sink. */
export class SinkStream {
  readonly checker: StreamChecker = new StreamChecker()
  readonly arrivals: Arrivals = new Arrivals()
  over: 'ended' | 'cut' | undefined

  take(bytes: Buffer): void {
    this.arrivals.add(nowMs())
    this.checker.push(bytes)
  }
}

export class Sink {
  readonly #streams = new Map<number, SinkStream>()
  readonly #lateness: Lateness = watchLateness()

  begin(number: number): SinkStream {
    const stream = new SinkStream()
    this.#streams.set(number, stream)
    return stream
  }

  serve(): void {
    serveAsks((ask) => this.#answer(ask))
  }

  #answer({ what, stream, fromMs = 0, toMs = nowMs(), sent = 0 }: Ask): object {
    const found = this.#streams.get(stream)
    if (found === undefined) return { begun: false }
    switch (what) {
      case 'progress':
        return { begun: true, position: found.checker.position, over: found.over }
      case 'gap':
        return { ...found.arrivals.longestGap(fromMs, toMs) }
      case 'late':
        return { lateMs: this.#lateness.longestMs(fromMs, toMs) }
      case 'report':
        this.#streams.delete(stream)
        return { ...found.checker.finish(sent) }
      default:
        throw new Error(`expected progress, gap, late or report; found ${what}`)
    }
  }

  ready(facts: object): void {
    say({ ready: true, ...facts })
  }
}
