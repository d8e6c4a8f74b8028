/** Runs the rounds of one system under one fault. A stream that survives goes on through all of them; one that was cut is followed by a new one. */
import { nowMs } from './clock.ts'
import type { Fault } from './faults.ts'
import { pause, type Server } from './processes.ts'
import { QuietGaps } from './quiet-gaps.ts'
import type { Damage } from './stream-checker.ts'
import type { Rig, Started } from './systems/system.ts'

/** The stream flows so long before its rounds: Node compiles code while it runs it, and TCP windows grow. */
const warmMs = 1_500
/** The stream is watched so long before a fault, and at least so long after it: the gap without a fault, and the gap with it. */
const watchMs = 1_000
/** Bytes made this long after a fault must arrive before the stream counts as flowing again. */
const flowingMs = 500
/** After the end of a fault the stream is watched on for this long, and until the server has its connections again: what comes back can disturb too. */
const healedMs = 300
/** Some do not come back to a server: then a round ends so long after its fault. */
const settleMs = 4_000
/** A fault that lasts ends when the stream flows again, or after this. */
const lastsMs = 10_000
/** A stream that stands still longer is given up, and so is a system that takes no new stream. */
const waitMs = 35_000
/** A stream of which nothing arrives within this is tried anew. */
const beginMs = 5_000
const lookMs = 20
/** Connections that are only about to end do not stay for so many looks. */
const steadyLooks = 3
/** What is on its way when a stream was cut has this long to arrive. */
const drainMs = 500

/** One round. */
export interface Round {
  readonly survived: boolean
  /** Of a stream that survived: its longest gap after the fault, less {@link baseMs}. */
  readonly stallMs?: number
  /** When that gap began, after the fault. */
  readonly stallAtMs?: number
  /** Its longest gap in as much time before faults, as far as it was watched. */
  readonly baseMs?: number
  /** How late the generator was at most in this round, and how late the sink was: a stall that long may be theirs. It counts all the same. */
  readonly lateMs?: number
  /** How long the round took, the start of a new stream included. */
  readonly tookMs: number
  /** Of a stream that was cut: until a new one brought its first byte. */
  readonly backMs?: number
  readonly lost: number
  readonly duplicated: number
  readonly reordered: number
  readonly corrupted: number
  readonly note?: string
}

interface Live {
  readonly number: number
  readonly quiet: QuietGaps
  cut: { readonly atMs: number; readonly why: string } | undefined
}

export class Rounds {
  readonly #started: Started
  readonly #rig: Rig
  readonly #fault: Fault
  #live: Live | undefined
  #cutAtMs: number | undefined

  constructor(started: Started, rig: Rig, fault: Fault) {
    this.#started = started
    this.#rig = rig
    this.#fault = fault
    rig.onCut(({ stream, why }) => {
      const live = this.#live
      if (live !== undefined && live.number === stream) live.cut ??= { atMs: nowMs(), why: String(why) }
    })
  }

  /**
   * The next round. Damage is known when a stream is over, and belongs to the round that ended it.
   * @param last the stream is ended in order after this one, and its damage counted
   */
  async next(last: boolean): Promise<Round> {
    const startMs = nowMs()
    const round = await this.#round(last)
    return { ...round, tookMs: nowMs() - startMs }
  }

  async #round(last: boolean): Promise<Omit<Round, 'tookMs'>> {
    const begun = await this.#stream()
    if (begun === undefined) return { ...sound, survived: false, note: `no new stream within ${waitMs} ms` }
    const { live, backMs } = begun
    const ticks = this.#started.servers.map((server) => server.ticks())
    await pause(watchMs)
    const server = this.#busiest(ticks)
    const connections = server.connections()
    const { position } = await this.#started.source.ask('position', { stream: live.number })
    const faultMs = nowMs()
    live.quiet.add(watchMs, (await this.#gap(live, faultMs - watchMs, faultMs)).gapMs)

    let healing: Promise<void> | undefined
    const heal = (): Promise<void> => {
      healing ??= this.#fault.heal(server, this.#rig)
      return healing
    }
    const hitMs = nowMs()
    await this.#fault.begin(server, this.#rig)
    if (!this.#fault.lasting) void heal().catch(() => {})
    const flows = await this.#flowsAgain(live, Number(position), hitMs, heal)
    if (flows) await pause(Math.max(0, hitMs + watchMs - nowMs()))
    await heal()
    if (flows) await this.#settled(server, connections, hitMs + settleMs)

    const endMs = nowMs()
    const { gapMs, atMs } = await this.#gap(live, hitMs, endMs)
    const baseMs = live.quiet.longestMs(endMs - hitMs)
    const survived = flows && live.cut === undefined
    const back = backMs === undefined ? {} : { backMs }
    if (!survived) {
      const note = live.cut?.why ?? `stood still for ${waitMs} ms`
      return { ...(await this.#end(live)), ...back, survived, baseMs, note }
    }
    const late = await this.#late(live, faultMs - watchMs, endMs)
    const damage = last ? await this.#end(live) : sound
    if (!last) await pause(Math.max(0, hitMs + (this.#fault.everyMs ?? 0) - watchMs - nowMs()))
    return { ...damage, ...back, survived, stallMs: Math.max(0, gapMs - baseMs), stallAtMs: atMs - hitMs, baseMs, lateMs: late }
  }

  /** The stream that flows, or a new one, as soon as the system takes it. */
  async #stream(): Promise<{ live: Live; backMs?: number } | undefined> {
    if (this.#live !== undefined && this.#live.cut === undefined) return { live: this.#live }
    const { source, port } = this.#started
    const deadline = nowMs() + waitMs
    while (nowMs() < deadline) {
      const live: Live = { number: this.#rig.nextStream(), quiet: new QuietGaps(), cut: undefined }
      this.#live = live
      const opened = await source.ask('open', { stream: live.number, port }).then(
        () => true,
        () => false,
      )
      if (opened && (await this.#begins(live))) {
        const backMs = this.#cutAtMs === undefined ? {} : { backMs: nowMs() - this.#cutAtMs }
        await pause(warmMs)
        if (live.cut === undefined) {
          this.#cutAtMs = undefined
          return { live, ...backMs }
        }
      }
      if (opened) await source.ask('drop', { stream: live.number }).catch(() => {})
      this.#live = undefined
      await pause(lookMs)
    }
    return undefined
  }

  /** Whether anything of a new stream arrives, before it is cut again. */
  async #begins(live: Live): Promise<boolean> {
    const deadline = nowMs() + beginMs
    while (live.cut === undefined && nowMs() < deadline) {
      const { begun, position } = await this.#started.sink.ask('progress', { stream: live.number })
      if (begun === true && Number(position) > 0) return true
      await pause(lookMs)
    }
    return false
  }

  async #flowsAgain(live: Live, position: number, hitMs: number, heal: () => Promise<void>): Promise<boolean> {
    const enough = position + (flowingMs / 1000) * this.#rig.bytesPerSecond
    while (nowMs() < hitMs + waitMs) {
      const progress = await this.#started.sink.ask('progress', { stream: live.number })
      if (progress.over !== undefined) live.cut ??= { atMs: nowMs(), why: `${String(progress.over)} at the far side` }
      if (live.cut !== undefined) return false
      if (Number(progress.position) >= enough) return true
      if (nowMs() > hitMs + lastsMs) void heal().catch(() => {})
      await pause(lookMs)
    }
    return false
  }

  async #gap(live: Live, fromMs: number, toMs: number): Promise<{ readonly gapMs: number; readonly atMs: number }> {
    const { gapMs, atMs } = await this.#started.sink.ask('gap', { stream: live.number, fromMs, toMs })
    return { gapMs: Number(gapMs), atMs: Number(atMs) }
  }

  /** Waits until a server that was away holds as many connections as before, but not beyond `deadline`. */
  async #settled(server: Server, connections: number, deadline: number): Promise<void> {
    await pause(healedMs)
    let steady = 0
    while (nowMs() < deadline && steady < steadyLooks) {
      await pause(lookMs)
      steady = server.connections() >= connections ? steady + 1 : 0
    }
  }

  async #late(live: Live, fromMs: number, toMs: number): Promise<number> {
    const { source, sink } = this.#started
    const answers = await Promise.all([source, sink].map((role) => role.ask('late', { stream: live.number, fromMs, toMs })))
    return Math.max(...answers.map(({ lateMs }) => Number(lateMs)))
  }

  /** The server that worked most since `before`. */
  #busiest(before: readonly number[]): Server {
    const { servers } = this.#started
    const work = servers.map((server, index) => server.ticks() - (before[index] ?? 0))
    return servers[work.indexOf(Math.max(...work))] as Server
  }

  /** Ends a stream, in order if it lives, and counts what became of its bytes. */
  async #end(live: Live): Promise<Damage> {
    const { source, sink } = this.#started
    this.#live = undefined
    let sent: unknown
    if (live.cut === undefined) {
      // Its own end is no cut.
      ;({ sent } = await source.ask('end', { stream: live.number }))
      const deadline = nowMs() + waitMs
      while (nowMs() < deadline && (await sink.ask('progress', { stream: live.number })).over === undefined) await pause(lookMs)
    } else {
      this.#cutAtMs = live.cut.atMs
      ;({ sent } = await source.ask('drop', { stream: live.number }))
      await pause(drainMs)
    }
    const { lost, duplicated, reordered, corrupted } = await sink.ask('report', { stream: live.number, sent })
    return { lost: Number(lost), duplicated: Number(duplicated), reordered: Number(reordered), corrupted: Number(corrupted) }
  }
}

const sound: Damage = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 }
