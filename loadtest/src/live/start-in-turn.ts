// Several processes at once, on a machine that may be busy: a few at a time, progress while it takes, and an end only when nothing moves any more.
import { availableParallelism } from 'node:os'
import { SennitError } from '@sennit/protocol'

export interface StartInTurnOptions {
  /** Starts one; resolves when it is ready, however long that takes. */
  readonly start: (name: string) => Promise<unknown>
  readonly signal?: AbortSignal
  /** Told what stands still, every few seconds. */
  readonly note?: (text: string) => void
}

/** Starting is all processor: more at once than this only makes each of them later. */
const atOnce = Math.max(2, availableParallelism())
/** A relay starts in half a second. When none of those under way has within this, the machine is not busy, something is stuck. */
const stillMs = 60_000
/** How often a slow start is told. */
const noteEveryMs = 5_000

/**
 * Starts relays and resolves when all are ready. How long that may take grows with their number: it fails only when one fails, the signal is aborted,
 * or none became ready for a minute. Then no more are started; those that are there are the caller's to end.
 * @throws SennitError `relay_not_ready`; the signal's reason; what `start` throws
 */
export async function startInTurn(names: readonly string[], { start, signal, note }: StartInTurnOptions): Promise<void> {
  if (names.length === 0) return
  const waiting = [...names]
  const underWay = new Set<string>()
  let ready = 0
  let over = false
  let still: NodeJS.Timeout | undefined
  let abort = (): void => {}
  const told =
    note === undefined
      ? undefined
      : setInterval(() => note(`${ready} of ${names.length} relays are ready; waiting for ${[...underWay].join(', ')}`), noteEveryMs)
  try {
    await new Promise<void>((done, fail) => {
      const moved = (): void => {
        clearTimeout(still)
        still = setTimeout(() => {
          const stuck = [...underWay].join(', ')
          fail(
            new SennitError('relay_not_ready', `${stuck} said nothing within ${stillMs / 1_000} s; ${ready} of ${names.length} were ready`),
          )
        }, stillMs)
      }
      const next = (): void => {
        const name = over || signal?.aborted === true ? undefined : waiting.shift()
        if (name === undefined) return
        underWay.add(name)
        start(name).then(
          () => {
            if (over) return
            underWay.delete(name)
            ready += 1
            if (ready === names.length) return done()
            moved()
            next()
          },
          (error: unknown) => {
            over = true
            fail(error)
          },
        )
      }
      abort = (): void => fail(signal?.reason)
      if (signal?.aborted === true) abort()
      signal?.addEventListener('abort', abort, { once: true })
      moved()
      for (let count = 0; count < atOnce; count += 1) next()
    })
  } finally {
    over = true
    signal?.removeEventListener('abort', abort)
    clearInterval(told)
    clearTimeout(still)
  }
}
