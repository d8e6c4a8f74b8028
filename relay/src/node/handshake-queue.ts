/**
 * Bytes of strangers wait here while those of proved attachments go straight on: a few handshakes a turn of the event loop, so that whoever is in
 * is served first, however many stand at the door. Bounded by what admission lets in, times what a handshake may send.
 */

/** Handshakes in one turn. Each costs up to half a millisecond, so a turn stays near two. */
const perTurn = 4

/** More strangers than this, or any that waits for longer, is load: then a first message costs a cookie. */
const busyStrangers = 128
const busyWaitMs = 100

/** Load is over when nobody had to wait for so long. */
const calmAfterMs = 5_000

/** What all that waits may hold; a first message is some hundred bytes, so only noise fills it. */
const waitingBytesMax = 16 * 1024 * 1024

interface Waiting {
  readonly key: number
  readonly chunk: Uint8Array
  readonly sinceMs: number
}

export class HandshakeQueue {
  /** Strangers, and how many of their chunks wait. */
  private readonly strangers = new Map<number, number>()
  private queue: Waiting[] = []
  private head = 0
  private bytes = 0
  private busySinceMs: number | undefined

  /** An attachment that has not proved itself. */
  enter(key: number): void {
    this.strangers.set(key, 0)
  }

  leave(key: number): void {
    this.strangers.delete(key)
  }

  /** Takes a chunk of a stranger, unless it is of somebody known, or there is no room: then the stranger must go. */
  take(nowMs: number, key: number, chunk: Uint8Array): 'taken' | 'known' | 'full' {
    const waiting = this.strangers.size === 0 ? undefined : this.strangers.get(key)
    if (waiting === undefined) return 'known'
    if (this.bytes + chunk.length > waitingBytesMax) return 'full'
    this.bytes += chunk.length
    this.strangers.set(key, waiting + 1)
    this.queue.push({ key, chunk, sinceMs: nowMs })
    return 'taken'
  }

  get length(): number {
    return this.queue.length - this.head
  }

  /** Passes the oldest chunks on. `isProved` after a chunk ends its attachment's waiting, once none of its chunks is left. */
  turn(pass: (key: number, chunk: Uint8Array) => void, isProved: (key: number) => boolean): void {
    for (let count = 0; count < perTurn; ) {
      const next = this.queue[this.head]
      if (next === undefined) break
      this.head += 1
      this.bytes -= next.chunk.length
      const waiting = this.strangers.get(next.key)
      // It is gone already.
      if (waiting === undefined) continue
      count += 1
      pass(next.key, next.chunk)
      if (waiting === 1 && isProved(next.key)) this.strangers.delete(next.key)
      else if (this.strangers.has(next.key)) this.strangers.set(next.key, waiting - 1)
    }
    if (this.head * 2 >= this.queue.length) {
      this.queue = this.queue.slice(this.head)
      this.head = 0
    }
  }

  /** Whether so many wait, or so long, that strangers have to pay first. Ask once a turn. */
  busy(nowMs: number): boolean {
    const waitedMs = nowMs - (this.queue[this.head]?.sinceMs ?? nowMs)
    if (this.strangers.size > busyStrangers || waitedMs > busyWaitMs) this.busySinceMs = nowMs
    return this.busySinceMs !== undefined && nowMs - this.busySinceMs < calmAfterMs
  }
}
