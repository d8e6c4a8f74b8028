/** What one end receives on one stream. */
import { ProtocolError } from '@sennit/protocol'
import type { CreditPool } from './credit-pool.ts'
import { CreditWindow } from './credit-window.ts'
import { ReadyQueue } from './ready-queue.ts'
import { type PartCount, Reassembly } from './reassembly.ts'

/**
 * receiving → finished (the application read all up to the fin) | reset (by the peer), or → discarding (the application wants no more)
 * → dropped (the end is known, so nothing is waited for).
 */
export type ReceiveState = 'receiving' | 'finished' | 'reset' | 'discarding' | 'dropped'

export class ReceiveHalf {
  state: ReceiveState = 'receiving'
  readonly ready: ReadyQueue = new ReadyQueue()
  readonly window: CreditWindow
  /** Bytes the application took. */
  taken = 0
  /** Where the bytes end, once the peer said so. */
  finalOffset = -1
  resetCode = 0
  private readonly streamId: number
  private readonly assembly: Reassembly
  private readonly deliver: (chunk: Uint8Array) => void

  constructor(streamId: number, pool: CreditPool, windowMax: number, parts: PartCount) {
    this.streamId = streamId
    this.window = new CreditWindow(pool, windowMax)
    this.assembly = new Reassembly(parts)
    this.deliver = (chunk) => this.ready.push(chunk)
  }

  get received(): number {
    return this.assembly.received
  }

  get over(): boolean {
    return this.state !== 'receiving' && this.state !== 'discarding'
  }

  /** The application has read up to the fin. */
  get drained(): boolean {
    return this.state === 'receiving' && this.taken === this.finalOffset
  }

  insert(offset: number, data: Uint8Array): void {
    const end = offset + data.length
    checkCredit(this.streamId, end, this.window.limit)
    if (this.finalOffset >= 0 && end > this.finalOffset) this.wrongEnd(end)
    if (this.state === 'receiving') {
      if (end > this.assembly.highest) this.window.ended(end)
      this.assembly.insert(offset, data, this.deliver)
    } else if (end > this.assembly.highest) {
      this.assembly.highest = end
    }
  }

  /** The peer names the end of its bytes, by a fin or a reset. */
  endsAt(finalOffset: number): void {
    checkCredit(this.streamId, finalOffset, this.window.limit)
    if (finalOffset < this.assembly.highest || (this.finalOffset >= 0 && finalOffset !== this.finalOffset)) this.wrongEnd(finalOffset)
    this.finalOffset = finalOffset
    if (this.state === 'discarding') this.finish('dropped')
  }

  /** Forgets everything that waits and ends in `state`. */
  finish(state: 'finished' | 'reset' | 'discarding' | 'dropped'): void {
    this.state = state
    this.ready.clear()
    this.assembly.clear()
    this.window.end()
  }

  private wrongEnd(found: number): never {
    const { finalOffset, streamId } = this
    const expected = finalOffset >= 0 ? `${finalOffset}` : `at least ${this.assembly.highest}`
    throw new ProtocolError('final_size', `expected stream ${streamId} to end at ${expected}, found ${found}`, {
      streamId,
      finalOffset,
      highest: this.assembly.highest,
      found,
    })
  }
}

/** @throws ProtocolError `flow_control` when the peer sends more than it was allowed */
export function checkCredit(streamId: number, end: number, limit: number): void {
  if (end <= limit) return
  throw new ProtocolError('flow_control', `expected at most ${limit} bytes on stream ${streamId}, found ${end}`, { streamId, limit, end })
}
