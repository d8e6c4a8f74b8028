/**
 * Runs one client machine in Node: bytes and time in, effects out, one wait for time. All input of a turn of the event loop is processed before
 * effects are drained, so that small writes share a packet and a verdict never overtakes bytes that have arrived.
 */

import type { ClientEffect } from '../core/client/types.ts'
import { SmallSet } from '../core/small-set.ts'
import type { Carrier, CarrierEvents } from './carrier.ts'
import { steadyNowMs } from './clock.ts'
import { sharedTimer, type Waiter } from './shared-timer.ts'
import { turns } from './turns.ts'

/** What the driver needs of a client machine. */
export interface DrivenMachine {
  carrierWaits(nowMs: number, key: number, waits: boolean): void
  carrierOpened(nowMs: number, key: number): void
  carrierBytes(nowMs: number, key: number, chunk: Uint8Array): void
  carrierWritable(nowMs: number, key: number, writable: boolean): void
  carrierClosed(nowMs: number, key: number, code: string, message: string): void
  changed(nowMs: number, handle: number): void
  resumedFromPause(nowMs: number): void
  wake(nowMs: number): void
  wakeAtMs(): number | undefined
  /** What came in, for the application. */
  heard(): ClientEffect | undefined
  /** Everything that is to be done; builds what goes out. */
  poll(): ClientEffect | undefined
}

type DialEffect = Extract<ClientEffect, { type: 'dial' }>
type CarrierEffect = Extract<ClientEffect, { type: 'dial' | 'write' | 'hangUp' }>
/** What is left for the owner of the driver. */
export type ApplicationEffect = Exclude<ClientEffect, CarrierEffect>

export interface DriverOptions {
  readonly machine: DrivenMachine
  /** Begins a dial; its events must come later, never inside the call. Throws when it cannot even begin. */
  dial(effect: DialEffect, events: CarrierEvents): Carrier
  onEffect(effect: ApplicationEffect): void
  /** @default steadyNowMs */
  readonly now?: () => number
}

/** A timer that fires this late means that the process was stopped, or the machine asleep: nobody else is to blame. */
const pauseMs = 500

/**
 * A turn that brought no more than this is part of a conversation: the application hears of it before the acks are made, since its answer shares
 * their record. More is acked first, however long the application takes over it.
 */
const conversationBytes = 4_096

/** The longest wait; at least so often the wall clock is compared, because sleep stops the steady clock. */
const timerMaxMs = 2_000

export class Driver {
  readonly #machine: DrivenMachine
  readonly #dial: DriverOptions['dial']
  readonly #onEffect: DriverOptions['onEffect']
  readonly #now: () => number
  readonly #carriers = new Map<number, Carrier>()
  readonly #touched = new SmallSet<number>()
  /** A drain comes with the next microtasks; with the end of this turn. Both may be on the way: the first does not do the work of the second. */
  #soonScheduled = false
  #turnEndScheduled = false
  #wakesAfterReads = false
  /** The turn in which the first of them ran last. */
  #soonTurn = -1
  /** The application hears what came; what goes out is built when it has answered. */
  #restScheduled = false
  /** Read in this turn. */
  #cameBytes = 0
  #draining = false
  #stopped = false
  readonly #timer: Waiter
  #timerAtMs = Number.POSITIVE_INFINITY
  /** What the machine said last when it was asked for its next wake-up. */
  #wakeAtMs = Number.POSITIVE_INFINITY
  #wallAheadMs: number

  constructor(options: DriverOptions) {
    this.#machine = options.machine
    this.#dial = options.dial
    this.#onEffect = options.onEffect
    this.#now = options.now ?? steadyNowMs
    this.#wallAheadMs = Date.now() - this.#now()
    this.#timer = { place: -1, onTime: this.#onTimer }
  }

  /** Runs one input of the application; its effects come soon after this turn's synchronous code. */
  act<T>(input: (nowMs: number) => T): T {
    const result = input(this.#now())
    this.#soon()
    return result
  }

  /** The application changed the streams of a connection: the machine is told once, however often it happens in a turn. */
  touch(handle: number): void {
    this.#touched.add(handle)
    this.#soon()
  }

  /** As {@link touch} where nothing hurries: credit for what was read goes out once a turn, however many reads there were. */
  touchLater(handle: number): void {
    this.#touched.add(handle)
    if (!this.#draining && !this.#restScheduled) this.#afterThisTurn()
  }

  /** Carries out what is left, then ends every carrier and the timer: for the last input, and outside of any effect. */
  finish(): void {
    if (!this.#draining) this.#drain()
    this.#stopped = true
    sharedTimer.stop(this.#timer)
    for (const carrier of this.#carriers.values()) carrier.close()
    this.#carriers.clear()
  }

  /** Drains when the running code and its microtasks so far are done; sooner than a turn, so that one small write is not delayed. */
  #soon(): void {
    if (this.#soonScheduled || this.#draining || this.#restScheduled || this.#stopped) return
    // The first write of a turn leaves at once; what a loop of awaited writes adds to it in the same turn shares packets.
    if (this.#soonTurn === turns.number) {
      this.#afterThisTurn()
      return
    }
    this.#soonScheduled = true
    turns.soon(this.#onMicrotask)
  }

  /** Drains when every socket with something to read has been read. */
  #afterThisTurn(): void {
    if (this.#turnEndScheduled || this.#stopped) return
    this.#turnEndScheduled = true
    turns.atEnd(this.#onTurnEnd)
  }

  /** Now, or, when others may not have been read yet, after all reads of this poll: a verdict must not overtake bytes that have arrived. */
  #wakeInTime(): void {
    if (!turns.relieves) this.#wakeDue(this.#now())
    else if (!this.#wakesAfterReads) {
      this.#wakesAfterReads = true
      turns.afterReads(this.#onReadsEnd)
    }
  }

  readonly #onReadsEnd = (): void => {
    this.#wakesAfterReads = false
    if (this.#stopped || this.#draining) return
    this.#wakeDue(this.#now())
    this.#drain()
  }

  readonly #onMicrotask = (): void => {
    if (!this.#soonScheduled || this.#stopped) return
    this.#soonTurn = turns.number
    turns.willEnd()
    this.#drain()
  }

  readonly #onTurnEnd = (): void => {
    this.#turnEndScheduled = false
    if (this.#stopped || this.#draining) return
    // What this turn's input made due is found when the machine is asked again, after the drain.
    if (this.#wakeAtMs <= this.#now()) this.#wakeInTime()
    const conversation = this.#cameBytes <= conversationBytes
    this.#cameBytes = 0
    if (conversation && this.#tellHeard()) this.#afterAnswers()
    else this.#drain()
  }

  /** Hands the application what the peer said. @returns whether there was something */
  #tellHeard(): boolean {
    let told = false
    this.#draining = true
    try {
      for (let effect = this.#machine.heard(); effect !== undefined; effect = this.#machine.heard()) {
        told ||= effect.type === 'streamEvent'
        this.#carryOut(effect)
        if (this.#stopped) break
      }
    } finally {
      this.#draining = false
    }
    return told
  }

  /** Drains when the application has answered what it just heard: then its answer leaves with the acks, in one record and one system call. */
  #afterAnswers(): void {
    if (this.#restScheduled) return
    this.#restScheduled = true
    turns.afterAnswers(this.#onAnswersEnd)
  }

  readonly #onAnswersEnd = (): void => {
    this.#restScheduled = false
    this.#drain()
  }

  #drain(): void {
    this.#soonScheduled = false
    if (this.#stopped || this.#draining) return
    this.#draining = true
    try {
      const machine = this.#machine
      while (!this.#stopped) {
        // Before the next effect: what an application answers inside its callback leaves in one record, and one system call, with the acks.
        this.#touched.takeEach(this.#tellTouched)
        const effect = machine.poll()
        if (effect === undefined) break
        this.#carryOut(effect)
      }
    } finally {
      this.#draining = false
    }
    this.#arm()
  }

  readonly #tellTouched = (handle: number): void => this.#machine.changed(this.#now(), handle)

  #carryOut(effect: ClientEffect): void {
    switch (effect.type) {
      case 'write': {
        const carrier = this.#carriers.get(effect.key)
        if (carrier !== undefined && !carrier.write(effect.pieces)) this.#machine.carrierWritable(this.#now(), effect.key, false)
        return
      }
      case 'dial':
        this.#begin(effect)
        return
      case 'hangUp':
        this.#carriers.get(effect.key)?.close()
        this.#carriers.delete(effect.key)
        return
      default:
        this.#onEffect(effect)
    }
  }

  #begin(effect: DialEffect): void {
    const { key } = effect
    const input = (tell: (nowMs: number) => void): void => {
      if (this.#stopped || !this.#carriers.has(key)) return
      const nowMs = this.#now()
      this.#noticePause(nowMs)
      tell(nowMs)
      this.#afterThisTurn()
    }
    const closed = (code: string, message: string): void =>
      input((nowMs) => {
        this.#carriers.delete(key)
        this.#machine.carrierClosed(nowMs, key, code, message)
      })
    try {
      const carrier = this.#dial(effect, {
        // Perhaps in the middle of a drain, ours or another client's: told, and no more.
        onBegin: () => {
          if (this.#stopped || !this.#carriers.has(key)) return
          this.#machine.carrierWaits(this.#now(), key, false)
          this.#afterThisTurn()
        },
        onOpen: () => input((nowMs) => this.#machine.carrierOpened(nowMs, key)),
        // As any input, but without a function for each chunk.
        onBytes: (chunk) => {
          if (this.#stopped || !this.#carriers.has(key)) return
          this.#cameBytes += chunk.length
          const nowMs = this.#now()
          this.#noticePause(nowMs)
          this.#machine.carrierBytes(nowMs, key, chunk)
          this.#afterThisTurn()
          turns.relieve()
        },
        onDrain: () => input((nowMs) => this.#machine.carrierWritable(nowMs, key, true)),
        onClose: closed,
      })
      this.#carriers.set(key, carrier)
      if (carrier.waits === true) this.#machine.carrierWaits(this.#now(), key, true)
    } catch (error) {
      const { code, message } = error as { code?: string; message?: string }
      // The machine hears of it in a turn of its own, as of every other failed dial.
      this.#carriers.set(key, { write: () => true, close: () => {} })
      setImmediate(() => closed(code ?? 'dial_failed', message ?? String(error)))
    }
  }

  #wakeDue(nowMs: number): void {
    const dueAtMs = this.#machine.wakeAtMs()
    if (dueAtMs !== undefined && dueAtMs <= nowMs) this.#machine.wake(nowMs)
  }

  #arm(): void {
    if (this.#stopped) return
    const nowMs = this.#now()
    const wakeAtMs = this.#machine.wakeAtMs() ?? Number.POSITIVE_INFINITY
    this.#wakeAtMs = wakeAtMs
    if (wakeAtMs === Number.POSITIVE_INFINITY) {
      sharedTimer.stop(this.#timer)
      this.#timerAtMs = Number.POSITIVE_INFINITY
      return
    }
    if (wakeAtMs <= nowMs) {
      if (turns.relieves) this.#wakeInTime()
      else this.#afterThisTurn()
      return
    }
    const atMs = Math.min(wakeAtMs, nowMs + timerMaxMs)
    // A timer that fires early is armed again then; that is cheaper than moving it on every packet.
    if (this.#timerAtMs <= atMs && this.#timerAtMs > nowMs) return
    this.#timerAtMs = atMs
    sharedTimer.start(this.#timer, atMs - nowMs)
  }

  readonly #onTimer = (): void => {
    const nowMs = this.#now()
    this.#noticePause(nowMs)
    this.#timerAtMs = Number.POSITIVE_INFINITY
    // Mostly what it was armed for has come to nothing, such as a probe of a packet that was acked: then there is no turn to end.
    if (this.#wakeAtMs <= nowMs || this.#turnEndScheduled) this.#afterThisTurn()
    else this.#arm()
  }

  /** Called with the first thing that happens after a pause, whatever it is. */
  #noticePause(nowMs: number): void {
    const wallAheadMs = Date.now() - nowMs
    const slept = wallAheadMs - this.#wallAheadMs > pauseMs
    this.#wallAheadMs = wallAheadMs
    const late = nowMs - this.#timerAtMs > pauseMs
    if (!late && !slept) return
    this.#timerAtMs = Number.POSITIVE_INFINITY
    sharedTimer.stop(this.#timer)
    this.#machine.resumedFromPause(nowMs)
    this.#afterThisTurn()
  }
}
