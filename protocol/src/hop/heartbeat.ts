/** When to ping, and when silence means that the attachment is dead. Only received bytes are evidence of life. */

/** Phones' radios and NAT tables of 20 s and more live with it (iroh uses 15 s). */
export const heartbeatMs = 15_000

/** For far or sleeping attachments: under the 60 s after which many NATs forget. */
export const heartbeatSaverMs = 55_000

/** So that attachments of one moment do not beat together for ever. */
const jitterShare = 0.1

/** The answer of a live peer is a round trip away; 3 s is past the worst mobile one. */
const pongWithinMs = 3_000

/** While bytes keep coming a pong may be stuck behind them, but some record must open: a flipped length would swallow them for ever. */
const pongAtMostMs = 30_000

/** A wake-up this late was our own pause (a stopped process, a sleeping machine): no verdict, ask again. */
export const ownPauseMs = 500

/** A flow that falls silent for this long may have lost its way: who only receives hears of it from nobody. */
const flowQuietMs = 2_000

/** So many packets without such a silence between them are a flow; a lone message is none, and is worth no ping. */
const flowPackets = 8

/** The responder hears the initiator's pings, so it asks only when these fail to come. */
const responderShare = 1.2

export interface HeartbeatOptions {
  readonly role: 'initiator' | 'responder'
  readonly random: () => number
  readonly intervalMs: number
}

interface Ping {
  readonly nonce: number
  readonly sentAtMs: number
}

export class Heartbeat {
  readonly #options: HeartbeatOptions
  #nextPingAtMs: number
  #wanted = false
  #ping: Ping | undefined
  #deadlineMs = 0
  #receivedAtMs: number
  #openedAtMs: number
  #everyMs: number
  #nonce = 0
  /** Packets of the flow that comes in now. */
  #packets = 0
  /** When to look whether it still comes; looked at again, not moved with every packet. */
  #flowLookAtMs: number | undefined

  constructor(options: HeartbeatOptions, nowMs: number) {
    this.#options = options
    this.#receivedAtMs = nowMs
    this.#openedAtMs = nowMs
    this.#everyMs = this.#interval()
    this.#nextPingAtMs = nowMs + this.#everyMs
  }

  /** Bytes came. */
  received(nowMs: number): void {
    this.#receivedAtMs = nowMs
  }

  /** A packet came: an initiator to whom many came, and then nothing, asks once. */
  packet(nowMs: number): void {
    if (this.#options.role === 'responder') return
    this.#packets += 1
    this.#flowLookAtMs ??= nowMs + flowQuietMs
  }

  /** A record opened: the peer itself lives. */
  opened(nowMs: number): void {
    this.#openedAtMs = nowMs
    if (this.#options.role === 'responder') this.#nextPingAtMs = nowMs + this.#everyMs
  }

  /** Ping as soon as possible, unless one is on its way. */
  probe(): void {
    if (this.#ping === undefined) this.#wanted = true
  }

  /** A ping is to be sent. */
  get wanted(): boolean {
    return this.#wanted
  }

  /** The nonce of the ping that goes now. */
  take(nowMs: number): number {
    this.#wanted = false
    this.#nonce = (this.#nonce + 1) >>> 0
    this.#ping = { nonce: this.#nonce, sentAtMs: nowMs }
    this.#deadlineMs = nowMs + pongWithinMs
    this.#everyMs = this.#interval()
    this.#nextPingAtMs = nowMs + this.#everyMs
    return this.#nonce
  }

  /** The round trip, when this answers the ping on its way. */
  pong(nowMs: number, nonce: number): number | undefined {
    if (this.#ping?.nonce !== nonce) return undefined
    const { sentAtMs } = this.#ping
    this.#ping = undefined
    return Math.max(0, nowMs - sentAtMs)
  }

  /** True: the peer is dead. */
  wake(nowMs: number): boolean {
    this.#lookAtFlow(nowMs)
    if (this.#ping === undefined) {
      if (nowMs >= this.#nextPingAtMs) this.#wanted = true
      return false
    }
    const deadlineMs = this.#verdictAtMs(this.#ping)
    if (nowMs < deadlineMs) return false
    if (nowMs - deadlineMs < ownPauseMs) return true
    this.#ping = undefined
    this.#wanted = true
    return false
  }

  wakeAtMs(): number | undefined {
    if (this.#wanted) return undefined
    const at = this.#ping === undefined ? this.#nextPingAtMs : this.#verdictAtMs(this.#ping)
    if (this.#flowLookAtMs === undefined) return at
    // As long as something comes there is nothing to look for: each packet puts it off, and no wake-up is spent on seeing that.
    return Math.min(at, Math.max(this.#flowLookAtMs, this.#receivedAtMs + flowQuietMs))
  }

  #lookAtFlow(nowMs: number): void {
    if (this.#flowLookAtMs === undefined || nowMs < this.#flowLookAtMs) return
    const quietAtMs = this.#receivedAtMs + flowQuietMs
    if (nowMs < quietAtMs) {
      this.#flowLookAtMs = quietAtMs
      return
    }
    this.#flowLookAtMs = undefined
    if (this.#packets >= flowPackets) this.probe()
    this.#packets = 0
  }

  #verdictAtMs(ping: Ping): number {
    const stuckAtMs = Math.max(ping.sentAtMs, this.#openedAtMs) + pongAtMostMs
    return Math.min(Math.max(this.#deadlineMs, this.#receivedAtMs + pongWithinMs), stuckAtMs)
  }

  #interval(): number {
    const { role, random, intervalMs } = this.#options
    return intervalMs * (role === 'responder' ? responderShare : 1) * (1 - jitterShare + 2 * jitterShare * random())
  }
}
