// Starting many relays on a busy machine: slow is not stuck. Time is the test's own.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { startInTurn } from '../../src/live/start-in-turn.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const relays = (count: number): string[] => Array.from({ length: count }, (_, index) => `r${index + 1}.toml`)

/** Starts whose relays become ready when the test says so. */
class Starts {
  readonly notes: string[] = []
  readonly under: string[] = []
  readonly controller = new AbortController()
  most = 0
  readonly #ready = new Map<string, () => void>()
  readonly #ended = new Map<string, (error: Error) => void>()
  readonly result: Promise<string>

  constructor(count: number) {
    const started = startInTurn(relays(count), {
      signal: this.controller.signal,
      note: (text) => this.notes.push(text),
      start: (config) =>
        new Promise<void>((done, fail) => {
          this.under.push(config)
          this.most = Math.max(this.most, this.under.length)
          this.#ready.set(config, done)
          this.#ended.set(config, fail)
        }),
    })
    this.result = started.then(
      () => 'ready',
      (error: Error) => error.message,
    )
  }

  async ready(): Promise<void> {
    this.#ready.get(this.under.shift()!)!()
    await vi.advanceTimersByTimeAsync(0)
  }

  async end(error: Error): Promise<void> {
    this.#ended.get(this.under.shift()!)!(error)
    await vi.advanceTimersByTimeAsync(0)
  }
}

describe('many relays', () => {
  it('may take 50 s each on a busy machine, are started a few at a time, and what is waited for is told', async () => {
    const starts = new Starts(16)
    for (let count = 0; count < 16; count += 1) {
      await vi.advanceTimersByTimeAsync(50_000)
      await starts.ready()
    }
    expect(await starts.result).toBe('ready')
    expect(starts.most).toBeLessThan(16)
    expect(starts.notes[0]).toMatch(/^0 of 16 relays are ready; waiting for r1\.toml, r2\.toml/)
    expect(starts.notes.at(-1)).toBe('15 of 16 relays are ready; waiting for r16.toml')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('are none: nothing is waited for', async () => {
    expect(await new Starts(0).result).toBe('ready')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('fail when none became ready for a minute, with the names of those that did not', async () => {
    const starts = new Starts(2)
    await vi.advanceTimersByTimeAsync(50_000)
    await starts.ready()
    await vi.advanceTimersByTimeAsync(59_999)
    expect(starts.notes.at(-1)).toMatch(/^1 of 2/)
    await vi.advanceTimersByTimeAsync(1)
    expect(await starts.result).toBe('r2.toml said nothing within 60 s; 1 of 2 were ready')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('fail at once when one ends, or the user does, and no more are started', async () => {
    const one = new Starts(16)
    await one.end(new Error('it ended'))
    expect(await one.result).toBe('it ended')
    const { length } = one.under
    await one.ready()
    expect(one.under.length).toBe(length - 1)
    const other = new Starts(16)
    other.controller.abort(new Error('interrupted'))
    expect(await other.result).toBe('interrupted')
    expect(vi.getTimerCount()).toBe(0)
  })
})
