/**
 * What a relay says of its own load. Over a limit it asks a bounded share of its busy clients to use others for a while, spread over time; they
 * choose which, and may stay. It tells its own delay to all, which can only lower its rank.
 */

import type { Attachment } from './attachment.ts'
import type { RelayCore } from './core.ts'

/** What the relay knows of its load at one look. */
export interface LoadFacts {
  readonly forwardedBytes: number
  readonly attachments: number
  /** 0 to 1 and over. */
  readonly pressure: number
}

/** Between two looks: long enough for those that were asked to have gone. */
const lookEveryMs = 5_000
/** At one look at most so many of the busy clients are asked: a relay must not empty itself at once into the others. */
const shareMax = 0.1
/** They go over this time, each at a moment of its own, … */
const spreadMs = 5_000
/** … and stay away this long, in which nobody is asked twice. */
const awayMs = 60_000
/** Memory for slow readers: at seventy percent no new credit is granted (reliability.md), so that is where it is too full. */
const pressureMax = 0.7
/** Turns of the event loop later than this are felt by every packet. */
const loopDelayMaxMs = 100
/** Later than this is no load: the process was stopped, or the machine slept. */
const stoppedMs = 1_000
/** A delay under this is the noise of a busy machine. */
const toldFromMs = 25
/** Told again so often while it lasts; clients believe it for half a minute. */
const toldAgainMs = 20_000
/** Clients told in one turn, and the pause after it. */
const tellAtOnce = 500
const tellPauseMs = 20

export class Overload {
  readonly #core: RelayCore
  readonly #random: () => number
  readonly #askedAtMs = new Map<Attachment, number>()
  #lookAtMs = Number.POSITIVE_INFINITY
  #lookedAtMs = 0
  #lastBytes = 0
  #lateMs = 0
  #lateSamples = 0
  #toldMs = 0
  #toldAtMs = 0
  #toTell: Attachment[] = []
  #tellAtMs = Number.POSITIVE_INFINITY
  #asked = 0

  constructor(core: RelayCore, random: () => number) {
    this.#core = core
    this.#random = random
  }

  /** Clients asked to use others, in all. */
  get asked(): number {
    return this.#asked
  }

  /** The shell's event loop was late by so much. The mean of a look counts: one late turn is nothing, and a stopped process was not busy. */
  loopDelay(delayMs: number): void {
    if (delayMs > stoppedMs) return
    this.#lateMs += delayMs
    this.#lateSamples += 1
  }

  /** Somebody is attached: looks begin. */
  begin(nowMs: number, facts: LoadFacts): void {
    if (Number.isFinite(this.#lookAtMs)) return
    this.#lookAtMs = nowMs + lookEveryMs
    this.#lookedAtMs = nowMs
    this.#lastBytes = facts.forwardedBytes
  }

  ended(attachment: Attachment): void {
    this.#askedAtMs.delete(attachment)
  }

  wake(nowMs: number, facts: () => LoadFacts, attachments: Iterable<Attachment>): void {
    if (nowMs >= this.#lookAtMs)
      this.#look(
        nowMs,
        facts(),
        [...attachments].filter(({ who, ended }) => who !== undefined && !ended),
      )
    if (nowMs < this.#tellAtMs) return
    for (const attachment of this.#toTell.splice(0, tellAtOnce)) this.#core.say(attachment, { type: 'load', queueMs: this.#toldMs })
    this.#tellAtMs = this.#toTell.length > 0 ? nowMs + tellPauseMs : Number.POSITIVE_INFINITY
  }

  wakeAtMs(): number {
    return Math.min(this.#lookAtMs, this.#tellAtMs)
  }

  #look(nowMs: number, facts: LoadFacts, attachments: readonly Attachment[]): void {
    const { busyBytesPerSecond, busyAttachments } = this.#core.limits
    const delayMs = this.#lateSamples === 0 ? 0 : this.#lateMs / this.#lateSamples
    const seconds = Math.max(0.001, (nowMs - this.#lookedAtMs) / 1_000)
    const load = Math.max(
      (facts.forwardedBytes - this.#lastBytes) / seconds / busyBytesPerSecond,
      facts.attachments / busyAttachments,
      facts.pressure / pressureMax,
      delayMs / loopDelayMaxMs,
    )
    this.#lookedAtMs = nowMs
    this.#lastBytes = facts.forwardedBytes
    this.#lateMs = 0
    this.#lateSamples = 0
    this.#lookAtMs = attachments.length === 0 ? Number.POSITIVE_INFINITY : nowMs + lookEveryMs
    if (load > 1) this.#askSome(nowMs, load, attachments)
    this.#tellDelay(nowMs, delayMs, attachments)
  }

  /** As many as are too many, at most a tenth, drawn by lot among those that were not asked lately. */
  #askSome(nowMs: number, load: number, attachments: readonly Attachment[]): void {
    const busy = attachments.filter(({ circuits }) => circuits.size > 0)
    const free = busy.filter((attachment) => nowMs >= (this.#askedAtMs.get(attachment) ?? Number.NEGATIVE_INFINITY) + awayMs)
    const count = Math.min(free.length, Math.max(1, Math.floor(busy.length * Math.min(shareMax, 1 - 1 / load))))
    if (count === 0) return
    for (let taken = 0; taken < count; taken += 1) {
      const at = taken + Math.min(free.length - taken - 1, Math.floor(this.#random() * (free.length - taken)))
      const chosen = free[at]!
      free[at] = free[taken]!
      free[taken] = chosen
      this.#askedAtMs.set(chosen, nowMs)
      this.#core.say(chosen, { type: 'makeRoom', withinMs: spreadMs, spreadMs, forMs: awayMs })
    }
    this.#asked += count
    this.#core.log('warn', 'asked_to_make_room', { load: Math.round(load * 100) / 100, asked: count, busy: busy.length })
  }

  #tellDelay(nowMs: number, delayMs: number, attachments: readonly Attachment[]): void {
    // In steps of two, or every wiggle would be told to everybody.
    const stepMs = delayMs < toldFromMs ? 0 : toldFromMs * 2 ** Math.floor(Math.log2(delayMs / toldFromMs))
    const again = stepMs > 0 && nowMs >= this.#toldAtMs + toldAgainMs
    if (stepMs === this.#toldMs && !again) return
    this.#toldMs = stepMs
    this.#toldAtMs = nowMs
    this.#toTell = [...attachments]
    this.#tellAtMs = nowMs
  }
}
