/**
 * The messages of the peer: the receiving half of stream 0. Messages stay as bytes in order until they are taken. Bytes of a message under
 * way free their credit as they arrive, or a message longer than the window could never come; whole messages free theirs when taken.
 */

import type { Deque } from '@sennit/protocol'
import type { CreditPool } from './credit-pool.ts'
import { CreditWindow } from './credit-window.ts'
import type { StreamEvent } from './events.ts'
import { messageTooLargeCode, refusalsMax } from './limits.ts'
import { compressionFlags, HeadReader, MessageScanner, reportDeliveryFlag } from './message-scanner.ts'
import type { ProcessBudget } from './process-budget.ts'
import { ReadyQueue } from './ready-queue.ts'
import { type PartCount, Reassembly } from './reassembly.ts'
import { checkCredit } from './receive-half.ts'

export interface MessageRefusal {
  readonly index: number
  readonly errorCode: number
}

export class MessageInbox {
  readonly window: CreditWindow
  /** Bytes of stream 0 that the application took or that were refused before them. */
  taken = 0
  /** Refusals not sent yet. */
  refusals: MessageRefusal[] = []
  /** Refusals sent whose frame is not acked. */
  private readonly unackedRefusals = new Set<number>()
  private readonly assembly: Reassembly
  private readonly ready = new ReadyQueue()
  private readonly scanner: MessageScanner
  private readonly heads: HeadReader
  private readonly bytesMax: number
  private readonly events: Deque<StreamEvent>
  private readonly budget: ProcessBudget | undefined
  private readonly store: (part: Uint8Array) => void
  private readonly scan: (chunk: Uint8Array) => void
  private takenIndex = 0 // of the next message to take
  private refusedPassed = 0
  private head: number | undefined // length of the next message to take, once its head was read
  private told = false
  private deliveredIndex = -1 // the newest message taken whose sender wants to know
  private reportedIndex = -1
  private overBudget = 0
  private released = false

  constructor(o: {
    pool: CreditPool
    windowMax: number
    parts: PartCount
    bytesMax: number
    /** Those of the compression flags that may come. */
    inflates: number
    events: Deque<StreamEvent>
    budget: ProcessBudget | undefined
  }) {
    this.window = new CreditWindow(o.pool, o.windowMax)
    this.assembly = new Reassembly(o.parts)
    this.bytesMax = o.bytesMax
    this.events = o.events
    this.budget = o.budget
    this.store = (part) => this.ready.push(part)
    this.heads = new HeadReader(o.inflates)
    this.scanner = new MessageScanner(o.bytesMax, o.inflates, (index, length) => {
      this.refusals.push({ index, errorCode: messageTooLargeCode })
      this.events.push({ type: 'messageTooLarge', bytes: length })
    })
    this.scan = (chunk) => this.scanner.feed(chunk, this.store)
  }

  get received(): number {
    return this.assembly.received
  }

  /** Whole messages that the application has not taken. */
  get waitingMessages(): number {
    return this.scanner.index - this.scanner.refusedWhole - (this.takenIndex - this.refusedPassed)
  }

  /** Bytes stored: whole messages and the one under way. */
  get waitingBytes(): number {
    return this.ready.bytes
  }

  /** Takes a stream frame in. Returns whether there is new credit to tell. */
  insert(offset: number, data: Uint8Array): boolean {
    const end = offset + data.length
    checkCredit(0, end, this.window.limit)
    if (end > this.assembly.highest) this.window.ended(end)
    const before = this.scanner.index
    this.assembly.insert(offset, data, this.scan)
    if (this.scanner.index > before) {
      if (this.waitingMessages === 0) {
        this.passRefused()
      } else if (!this.told) {
        this.told = true
        this.events.push({ type: 'message' })
      }
    }
    return this.freed()
  }

  /** The next message; what it held becomes credit, see {@link freed}. */
  take(): Uint8Array | undefined {
    this.passRefused()
    if (this.takenIndex === this.scanner.index) return undefined
    const length = this.head!
    this.head = undefined
    const index = this.takenIndex++
    const message = this.ready.takeExactly(length)
    this.taken += length
    if (this.heads.flags & reportDeliveryFlag) this.deliveredIndex = index
    return message
  }

  /** How the message taken last is compressed, and its size when it is inflated. */
  get takenCompression(): { readonly flag: number; readonly size: number } | undefined {
    const flag = this.heads.flags & compressionFlags
    return flag === 0 ? undefined : { flag, size: this.heads.size }
  }

  /** The event `message` was polled: the next arrival is told again. */
  polled(): void {
    this.told = false
  }

  /** Lets credit follow the memory that is free. Returns whether there is new credit to tell. */
  freed(): boolean {
    this.countOverBudget()
    if (this.refusals.length + this.unackedRefusals.size >= refusalsMax) return false
    return this.window.freed(this.assembly.inOrder - (this.ready.bytes - this.scanner.partial))
  }

  /** The delivery to report. None while an earlier refusal could still arrive after it: the sender would take that message for delivered. */
  get deliveredToReport(): number | undefined {
    if (this.deliveredIndex === this.reportedIndex) return undefined
    return this.refusals.length > 0 || this.unackedRefusals.size > 0 ? undefined : this.deliveredIndex
  }

  reported(): void {
    this.reportedIndex = this.deliveredIndex
  }

  refusalSent(): MessageRefusal {
    const refusal = this.refusals.shift()!
    this.unackedRefusals.add(refusal.index)
    return refusal
  }

  refusalAcked(index: number): void {
    this.unackedRefusals.delete(index)
  }

  /** The connection is over. */
  release(): void {
    this.released = true
    this.window.end()
    this.budget?.give(this.overBudget)
    this.overBudget = 0
  }

  /** Reads heads up to the next message that was not refused, and leaves its length in `head`. */
  private passRefused(): void {
    while (this.head === undefined && this.takenIndex < this.scanner.index) {
      let bytes = 0
      do bytes++
      while (!this.heads.byte(this.ready.takeByte()))
      this.taken += bytes
      if (!this.heads.isOver(this.bytesMax)) {
        this.head = this.heads.length
      } else {
        this.taken += this.heads.length
        this.takenIndex++
        this.refusedPassed++
      }
    }
  }

  /** A message under way may pass every budget, because it must be able to end; the process counts it. */
  private countOverBudget(): void {
    if (this.budget === undefined || this.released) return
    const over = Math.max(0, this.ready.bytes - this.window.windowBytes)
    if (over > this.overBudget) this.budget.force(over - this.overBudget)
    else this.budget.give(this.overBudget - over)
    this.overBudget = over
  }
}
