/** One stream: two halves, and what is to be said about it. */
import type { CreditPool } from './credit-pool.ts'
import type { PartCount } from './reassembly.ts'
import { ReceiveHalf } from './receive-half.ts'
import type { GatherBlocks } from './send-buffer.ts'
import { SendHalf } from './send-half.ts'

/** Control frames that are due, as bits; a frame is built when it is pulled, so it always carries the newest numbers. */
export const due = { open: 1, credit: 2, stop: 4, end: 8 } as const

export class Stream {
  readonly id: number
  /** Opened by this end. */
  readonly mine: boolean
  readonly send: SendHalf
  readonly receive: ReceiveHalf
  /** Both ends know of it: ours from the start, the peer's when its `open` came. */
  opened: boolean
  /** The peer knows of it: always true of its own. Before, it cannot have counted the end of this stream. */
  openAcked: boolean
  header: Uint8Array
  /** Bits of {@link due}. */
  due = 0
  /** In the queue of streams with something due. */
  queued = false
  stopCode = 0
  /** `readable` was told and not polled. */
  readableTold = false
  /** Counts against the limit of streams. */
  counted = true

  constructor(o: {
    id: number
    mine: boolean
    header: Uint8Array
    blocks: GatherBlocks
    pool: CreditPool
    windowMax: number
    parts: PartCount
  }) {
    this.id = o.id
    this.mine = o.mine
    this.opened = o.mine
    this.openAcked = !o.mine
    this.header = o.header
    this.send = new SendHalf(o.blocks)
    this.receive = new ReceiveHalf(o.id, o.pool, o.windowMax, o.parts)
  }

  /** Nothing more can happen. */
  get over(): boolean {
    return this.opened && this.openAcked && this.due === 0 && this.send.state === 'done' && this.receive.over
  }

  /**
   * The opener may have forgotten this stream, which is when it stops counting it. It needs from us that we read all and that our own
   * half's end left; whether its ack of that end came back is our affair.
   */
  get openerMayForget(): boolean {
    return this.receive.over && this.send.endSent
  }
}
