/** One Node timer behind the waits of all clients of a process: who is called when, and what is left when nobody waits. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SharedTimer, type Waiter } from '../../src/node/shared-timer.ts'

beforeEach(() => {
  vi.useFakeTimers({ now: 0, toFake: ['setTimeout', 'clearTimeout', 'Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

function world(onError?: (error: unknown) => void) {
  const timer = new SharedTimer(() => Date.now(), onError)
  const notes: string[] = []
  const waiter = (name: string, then: () => void = () => {}): Waiter => ({
    place: -1,
    onTime: () => {
      notes.push(`${name} at ${Date.now()}`)
      then()
    },
  })
  return { timer, notes, waiter }
}

describe('SharedTimer', () => {
  it('calls each at its time, the earliest first, with one Node timer at most', () => {
    const { timer, notes, waiter } = world()
    for (const delayMs of [30, 10, 50, 20, 40]) timer.start(waiter(`w${delayMs}`), delayMs)
    expect(vi.getTimerCount()).toBe(1)
    vi.advanceTimersByTime(1_000)
    expect(notes).toEqual(['w10 at 10', 'w20 at 20', 'w30 at 30', 'w40 at 40', 'w50 at 50'])
  })

  it.each([
    ['later', 10, 25, ['a at 25']],
    ['sooner', 25, 10, ['a at 10']],
    ['the same time', 10, 10, ['a at 10']],
  ])('moves a wait to %s, and calls it once', (_where, firstMs, thenMs, expected) => {
    const { timer, notes, waiter } = world()
    const a = waiter('a')
    timer.start(a, firstMs)
    timer.start(a, thenMs)
    expect(timer.size).toBe(1)
    vi.advanceTimersByTime(1_000)
    expect(notes).toEqual(expected)
  })

  it('rounds up: nobody is called before his time', () => {
    const { timer, notes, waiter } = world()
    timer.start(waiter('a'), 1.2)
    timer.start(waiter('b'), 0)
    vi.advanceTimersByTime(1)
    expect(notes).toEqual(['b at 1'])
    vi.advanceTimersByTime(1)
    expect(notes).toEqual(['b at 1', 'a at 2'])
  })

  it('leaves no Node timer behind when the last one stops, or was called', () => {
    const { timer, notes, waiter } = world()
    const [a, b] = [waiter('a'), waiter('b')]
    timer.start(a, 10)
    timer.start(b, 20)
    timer.stop(a)
    expect(vi.getTimerCount()).toBe(1)
    timer.stop(b)
    timer.stop(b)
    expect([vi.getTimerCount(), timer.size]).toEqual([0, 0])
    timer.start(a, 10)
    vi.advanceTimersByTime(10)
    expect([vi.getTimerCount(), timer.size]).toEqual([0, 0])
    expect(notes).toEqual(['a at 10'])
  })

  it('goes on with the others when one throws, stops another or asks to wait again', () => {
    const errors: unknown[] = []
    const { timer, notes, waiter } = world((error) => void errors.push(error))
    const stopped = waiter('stopped')
    const again: Waiter = waiter('again', () => timer.start(again, 5))
    const throws = waiter('throws', () => {
      timer.stop(stopped)
      throw new Error('mine')
    })
    timer.start(throws, 10)
    timer.start(again, 11)
    timer.start(stopped, 12)
    timer.start(waiter('last'), 12)
    vi.setSystemTime(20)
    vi.advanceTimersByTime(10)
    expect(notes).toEqual(['throws at 30', 'again at 30', 'last at 30'])
    expect(errors).toEqual([new Error('mine')])
    vi.advanceTimersByTime(5)
    expect(notes.at(-1)).toBe('again at 35')
  })

  it('lets the loop go on where somebody asks again and again for a time that has come', () => {
    const { timer, notes, waiter } = world()
    const busy: Waiter = waiter('busy', () => timer.start(busy, 0))
    timer.start(busy, 1)
    vi.advanceTimersByTime(3)
    expect(notes).toEqual(['busy at 1', 'busy at 2', 'busy at 3'])
  })

  it('arms a new Node timer when the old one was taken away', () => {
    const { timer, notes, waiter } = world()
    timer.start(waiter('a'), 10)
    vi.clearAllTimers()
    vi.setSystemTime(2_000)
    timer.start(waiter('b'), 10)
    vi.advanceTimersByTime(20)
    expect(notes.map((note) => note.slice(0, 1))).toEqual(['a', 'b'])
  })

  it('keeps the order of thousands that start, move and stop', () => {
    const { timer, waiter, notes } = world()
    const dueAtMs = new Map<Waiter, number>()
    const late: number[] = []
    const waiters = Array.from({ length: 300 }, (_, index): Waiter => {
      const own: Waiter = waiter(`${index}`, () => {
        late.push(Date.now() - dueAtMs.get(own)!)
        dueAtMs.delete(own)
      })
      return own
    })
    let seed = 1
    const dice = (sides: number): number => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % sides
    }
    for (let step = 0; step < 5_000; step += 1) {
      const own = waiters[dice(waiters.length)]!
      if (dice(4) === 0) {
        timer.stop(own)
        dueAtMs.delete(own)
      } else {
        const delayMs = 1 + dice(200)
        timer.start(own, delayMs)
        dueAtMs.set(own, Date.now() + delayMs)
      }
      expect(timer.size).toBe(dueAtMs.size)
      if (dice(3) === 0) vi.advanceTimersByTime(dice(4))
    }
    vi.advanceTimersByTime(300)
    expect(dueAtMs.size).toBe(0)
    expect(notes.length).toBeGreaterThan(1_000)
    expect(new Set(late)).toEqual(new Set([0]))
  })
})
