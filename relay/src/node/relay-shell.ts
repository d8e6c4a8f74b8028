/**
 * Moves bytes between carriers and the relay machine: passes in what arrives, takes effects out, arms one timer. All sockets that are readable
 * in one turn of the event loop are read before effects are drained, so that their packets share records and writes.
 */

import { type LogLevel, RelayMachine, type RelayMachineOptions, type RelayStats } from '../core/index.ts'
import { HandshakeQueue } from './handshake-queue.ts'
import type { ServerCarrier } from './server-carrier.ts'

export type ShellLog = (level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>) => void

/** Input that is read before effects are drained although the turn is not over: one circuit's first credit; more would only sit in memory. */
const drainAfterBytes = 512 * 1024
/** Or so many: what was read of a client is then still near the processor when it goes on to the other, also when a poll brought thousands. */
const drainAfterReads = 64

/** How often blocked carriers are asked for progress, while there are any: a few times within the write-stall limit. */
const progressMs = 400

export class RelayShell {
  readonly machine: RelayMachine
  private readonly now: () => number
  private readonly log: ShellLog
  private readonly carriers = new Map<number, ServerCarrier>()
  private readonly pending = new Map<number, number>()
  private readonly idleWaiters: (() => void)[] = []
  private readonly handshakes = new HandshakeQueue()
  private nextKey = 1
  private unreadBytes = 0
  private reads = 0
  private drainScheduled = false
  private timer: NodeJS.Timeout | undefined
  private timerAtMs = Number.POSITIVE_INFINITY
  private progressTimer: NodeJS.Timeout | undefined
  private stopped = false

  constructor(options: RelayMachineOptions, now: () => number, log: ShellLog) {
    this.machine = new RelayMachine(options)
    this.now = now
    this.log = log
  }

  /** Attaches a carrier; `counted` when its socket went through `socketOpened`. The result tells whether its client has proved itself. */
  attach(carrier: ServerCarrier, counted: boolean): () => boolean {
    const key = this.nextKey
    this.nextKey += 1
    this.carriers.set(key, carrier)
    this.handshakes.enter(key)
    this.machine.accepted(this.now(), key, { carrier: carrier.carrier, address: carrier.address, counted })
    carrier.start({
      bytes: (chunk) => this.bytes(key, chunk),
      drained: () => {
        if (!this.carriers.has(key)) return
        this.pending.delete(key)
        this.machine.writable(this.now(), key, true)
        this.schedule()
      },
      closed: (why) => {
        if (!this.carriers.delete(key)) return
        this.pending.delete(key)
        this.handshakes.leave(key)
        this.machine.closed(this.now(), key, why)
        this.schedule()
      },
    })
    this.schedule()
    return () => this.machine.isProved(key)
  }

  /** Runs something on the machine and drains its effects in this turn. */
  act<Result>(action: (machine: RelayMachine, nowMs: number) => Result): Result {
    const result = action(this.machine, this.now())
    this.schedule()
    return result
  }

  stats(): RelayStats {
    return this.machine.stats()
  }

  /** Resolves when a drain that was asked of the machine is over. */
  idle(): Promise<void> {
    return new Promise((resolve) => this.idleWaiters.push(resolve))
  }

  /** Closes all carriers at once. */
  stop(): void {
    this.stopped = true
    clearTimeout(this.timer)
    clearInterval(this.progressTimer)
    for (const carrier of this.carriers.values()) carrier.close('relay_stopped')
    this.carriers.clear()
  }

  private bytes(key: number, chunk: Uint8Array): number {
    const taken = this.handshakes.take(this.now(), key, chunk)
    if (taken !== 'known') {
      if (taken === 'full') this.refuse(key, 'busy')
      this.schedule()
      return Number.POSITIVE_INFINITY
    }
    const held = this.machine.bytes(this.now(), key, chunk)
    this.unreadBytes += chunk.length
    this.reads += 1
    if (this.unreadBytes >= drainAfterBytes || this.reads >= drainAfterReads) this.drain()
    else this.schedule()
    return held
  }

  /** Ends a carrier whose client has not proved itself. */
  private refuse(key: number, reason: string): void {
    this.machine.refused(reason)
    this.carriers.get(key)?.close(reason)
    this.carriers.delete(key)
    this.handshakes.leave(key)
    this.machine.closed(this.now(), key, reason)
  }

  private schedule(): void {
    if (this.drainScheduled || this.stopped) return
    this.drainScheduled = true
    setImmediate(this.onTurnEnd)
  }

  private readonly onTurnEnd = (): void => {
    this.drainScheduled = false
    this.drain()
    if (this.handshakes.length === 0 || this.stopped) return
    const nowMs = this.now()
    this.machine.setBusy(this.handshakes.busy(nowMs))
    this.handshakes.turn(
      (key, chunk) => this.machine.bytes(nowMs, key, chunk),
      (key) => this.machine.isProved(key),
    )
    this.drain()
    // The others in turns of their own, after what the sockets of the known bring meanwhile.
    if (this.handshakes.length > 0) this.schedule()
  }

  private drain(): void {
    this.unreadBytes = 0
    this.reads = 0
    if (this.stopped) return
    for (let effect = this.machine.poll(); effect !== undefined; effect = this.machine.poll()) {
      switch (effect.type) {
        case 'write': {
          const carrier = this.carriers.get(effect.key)
          if (carrier !== undefined && !carrier.write(effect.pieces)) this.full(effect.key, carrier)
          break
        }
        case 'close':
          this.carriers.get(effect.key)?.close(effect.reason)
          this.carriers.delete(effect.key)
          this.pending.delete(effect.key)
          this.handshakes.leave(effect.key)
          break
        case 'log':
          this.log(effect.level, effect.event, effect.fields)
          break
        case 'idle':
          for (const resolve of this.idleWaiters.splice(0)) resolve()
      }
    }
    this.arm()
  }

  private full(key: number, carrier: ServerCarrier): void {
    this.machine.writable(this.now(), key, false)
    this.pending.set(key, carrier.pendingBytes())
    this.progressTimer ??= setInterval(this.onProgress, progressMs).unref()
  }

  private readonly onProgress = (): void => {
    const nowMs = this.now()
    for (const key of this.machine.blockedKeys()) {
      const carrier = this.carriers.get(key)
      if (carrier === undefined) continue
      const before = this.pending.get(key) ?? Number.POSITIVE_INFINITY
      const left = carrier.pendingBytes()
      this.pending.set(key, left)
      if (left < before) this.machine.progress(nowMs, key)
    }
    if (this.machine.blockedKeys().length === 0) {
      clearInterval(this.progressTimer)
      this.progressTimer = undefined
    }
    this.arm()
  }

  private arm(): void {
    const atMs = this.machine.wakeAtMs() ?? Number.POSITIVE_INFINITY
    // A timer that is armed for earlier wakes once in vain; that is cheaper than moving it for every packet.
    if (atMs >= this.timerAtMs) return
    clearTimeout(this.timer)
    this.timerAtMs = atMs
    // Timers cut fractions, and one that fires too early would spin.
    const delayMs = Math.min(2 ** 30, Math.max(0, Math.ceil(atMs - this.now())))
    this.timer = setTimeout(this.onTimer, delayMs)
  }

  private readonly onTimer = (): void => {
    this.timerAtMs = Number.POSITIVE_INFINITY
    this.machine.wake(this.now())
    this.drain()
  }
}
