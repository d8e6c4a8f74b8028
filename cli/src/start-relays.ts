// Several relays at once, on a machine that may be busy: a few at a time, progress while it takes, and an end only when nothing moves any more.
import { availableParallelism } from 'node:os'
import { codedError } from './exit-codes.ts'
import { endWithParent, type RelayProcess, startRelayProcess } from './relay-process.ts'

export interface StartRelaysOptions {
  readonly signal: AbortSignal
  /** Told of each relay at once, ready or not, so that whoever stops early can end it. */
  readonly spawned: (relay: RelayProcess) => void
  /** Told what stands still, every few seconds. */
  readonly note: (text: string) => void
  /** Starts one. @default a process of this program */
  readonly start?: (config: string, spawned: (relay: RelayProcess) => void) => Promise<RelayProcess>
}

/** Starting is all processor: more at once than this only makes each of them later. */
const atOnce = Math.max(2, availableParallelism())
/** A relay starts in half a second. When none of those under way has within this, the machine is not busy, something is stuck. */
const stillMs = 60_000
/** How often a slow start is told. */
const noteEveryMs = 5_000

/**
 * Starts a relay for each config and resolves when all are ready. How long that may take grows with their number: it fails only when one ends,
 * or none became ready for a minute.
 * @throws CodedError `relay_not_ready`, `relay_ended`
 */
export async function startRelays(configs: readonly string[], options: StartRelaysOptions): Promise<void> {
  const { signal, spawned, note } = options
  const launcher = endWithParent()
  const start = options.start ?? ((config, told) => startRelayProcess(config, launcher, told))
  const waiting = [...configs]
  const underWay = new Set<string>()
  let ready = 0
  let over = false
  let still: NodeJS.Timeout | undefined
  const told = setInterval(() => {
    note(`${ready} of ${configs.length} relays are ready; waiting for ${[...underWay].join(', ')}`)
  }, noteEveryMs)
  try {
    await new Promise<void>((done, fail) => {
      const moved = (): void => {
        clearTimeout(still)
        still = setTimeout(() => {
          const names = [...underWay].join(', ')
          fail(codedError('relay_not_ready', `${names} said nothing within ${stillMs / 1_000} s; ${ready} of ${configs.length} were ready`))
        }, stillMs)
      }
      const next = (): void => {
        const config = over || signal.aborted ? undefined : waiting.shift()
        if (config === undefined) return
        underWay.add(config)
        start(config, spawned).then(
          () => {
            if (over) return
            underWay.delete(config)
            ready += 1
            if (ready === configs.length) return done()
            moved()
            next()
          },
          (error: unknown) => {
            over = true
            fail(error)
          },
        )
      }
      if (signal.aborted) fail(signal.reason)
      signal.addEventListener('abort', () => fail(signal.reason), { once: true })
      moved()
      for (let count = 0; count < atOnce; count += 1) next()
    })
  } finally {
    over = true
    clearInterval(told)
    clearTimeout(still)
  }
}
