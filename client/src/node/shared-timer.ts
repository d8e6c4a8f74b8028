/**
 * One Node timer for all clients of a process. Thousands of clients that each arm a timer of their own several times a second keep a Node object
 * alive for each of them, and Node a list for each length of time; here a wait is two numbers in a heap, and moves without making anything.
 */
import { throwAlone } from './callbacks.ts'
import { steadyNowMs } from './clock.ts'

/** Who waits: made once, waits for one time at a time. */
export interface Waiter {
  /** Its place in the heap of the timer, -1 while it does not wait. The timer's own. */
  place: number
  /** Its time has come, and it waits no more. May ask to wait again. */
  readonly onTime: () => void
}

/** A Node timer that should have fired this long ago may never come: somebody took its clock away, such as fake timers of a test that are over. */
const lostMs = 1_000

export class SharedTimer {
  readonly #now: () => number
  readonly #onError: (error: unknown) => void
  // A binary heap, the earliest first, in two halves: comparing times looks into no object.
  readonly #times: number[] = []
  readonly #waiters: Waiter[] = []
  #timeout: NodeJS.Timeout | undefined
  #delayMs = 0
  /** When the Node timer is to fire. */
  #firesAtMs = Number.POSITIVE_INFINITY
  #firing = false

  /**
   * @param now a steady clock, milliseconds
   * @param onError is told what a waiter throws; it keeps no other from its time. @default it is thrown where nobody catches it
   */
  constructor(now: () => number = steadyNowMs, onError: (error: unknown) => void = throwAlone) {
    this.#now = now
    this.#onError = onError
  }

  /** How many wait. */
  get size(): number {
    return this.#times.length
  }

  /** Calls `onTime` of the waiter once, in `delayMs` or up to two milliseconds later, instead of at the time that it waits for so far. */
  start(waiter: Waiter, delayMs: number): void {
    const nowMs = this.#now()
    const atMs = nowMs + delayMs
    if (waiter.place < 0) {
      waiter.place = this.#times.length
      this.#times.push(atMs)
      this.#waiters.push(waiter)
    }
    this.#settle(waiter.place, atMs, waiter)
    if (!this.#firing) this.#arm(nowMs)
  }

  /** It waits no more. */
  stop(waiter: Waiter): void {
    if (waiter.place < 0) return
    this.#take(waiter.place)
    // With nobody left, it would only keep the process from its end.
    if (this.#times.length === 0 && !this.#firing) this.#disarm()
  }

  /** The Node timer fires no later than the first is due. One that fires earlier is armed again then: that is cheaper than moving it each time. */
  #arm(nowMs: number): void {
    const firstMs = this.#times[0]!
    const lost = nowMs - this.#firesAtMs > lostMs
    if (this.#firesAtMs <= firstMs && !lost) return
    const delayMs = Math.max(1, Math.ceil(firstMs - nowMs))
    this.#firesAtMs = Math.max(firstMs, nowMs)
    // Where many wait, the next is a millisecond away again and again.
    if (this.#timeout !== undefined && delayMs === this.#delayMs && !lost) {
      this.#timeout.refresh()
      return
    }
    clearTimeout(this.#timeout)
    this.#delayMs = delayMs
    this.#timeout = setTimeout(this.#onTimeout, delayMs)
  }

  #disarm(): void {
    clearTimeout(this.#timeout)
    this.#timeout = undefined
    this.#firesAtMs = Number.POSITIVE_INFINITY
  }

  readonly #onTimeout = (): void => {
    const nowMs = this.#now()
    this.#firing = true
    // Each once: who asks again for a time that has passed keeps nobody else from his turn, nor the sockets from being read.
    for (let left = this.#times.length; left > 0 && this.#times[0]! <= nowMs; left -= 1) {
      const waiter = this.#take(0)
      try {
        waiter.onTime()
      } catch (error) {
        this.#onError(error)
      }
    }
    this.#firing = false
    this.#firesAtMs = Number.POSITIVE_INFINITY
    if (this.#times.length === 0) this.#disarm()
    else this.#arm(this.#now())
  }

  #take(place: number): Waiter {
    const waiter = this.#waiters[place]!
    waiter.place = -1
    const lastAtMs = this.#times.pop()!
    const last = this.#waiters.pop()!
    if (last !== waiter) this.#settle(place, lastAtMs, last)
    return waiter
  }

  /** Puts the waiter at this place, which is free, or where its time belongs from there. */
  #settle(from: number, atMs: number, waiter: Waiter): void {
    const times = this.#times
    let place = from
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (times[parent]! <= atMs) break
      this.#put(place, times[parent]!, this.#waiters[parent]!)
      place = parent
    }
    for (;;) {
      let child = 2 * place + 1
      if (child + 1 < times.length && times[child + 1]! < times[child]!) child += 1
      if (child >= times.length || times[child]! >= atMs) break
      this.#put(place, times[child]!, this.#waiters[child]!)
      place = child
    }
    this.#put(place, atMs, waiter)
  }

  #put(place: number, atMs: number, waiter: Waiter): void {
    this.#times[place] = atMs
    this.#waiters[place] = waiter
    waiter.place = place
  }
}

/** There is one event loop. */
export const sharedTimer: SharedTimer = new SharedTimer()
