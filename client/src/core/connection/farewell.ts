/** Carries an ending out: seals CLOSE, says it until it is acked or the paths are gone, and answers late packets afterwards. */
import type { StreamCount } from '@sennit/protocol'
import type { StreamSet } from '../streams/index.ts'
import type { Closing, Ending } from './closing.ts'
import type { Outbox } from './outbox.ts'
import type { PacketBuilder } from './packet-builder.ts'
import type { Path } from './path.ts'
import type { PathKeeper } from './path-keeper.ts'
import type { PathTable } from './path-table.ts'
import type { Receiver } from './receiver.ts'
import type { KeptPacket } from './send-buffer.ts'
import type { Sender } from './sender.ts'

/** While the end is being said to a peer that does not answer, it is said again this often. */
const sayAgainMs = 300

export interface FarewellNeeds {
  readonly closing: Closing
  readonly streams: StreamSet
  readonly builder: PacketBuilder
  readonly sender: Sender
  readonly receiver: Receiver
  readonly outbox: Outbox
  readonly table: PathTable
  readonly keeper: PathKeeper
}

export class Farewell {
  readonly #needs: FarewellNeeds
  /** Our CLOSE, as sealed; the tombstone's answer. */
  #packet: KeptPacket | undefined
  #againAtMs: number | undefined

  constructor(needs: FarewellNeeds) {
    this.#needs = needs
  }

  /** The end was said, and nobody has acknowledged it. */
  get unheard(): boolean {
    return this.#packet !== undefined && !this.#packet.acked
  }

  wakeAtMs(): number {
    return this.#againAtMs ?? Number.POSITIVE_INFINITY
  }

  wake(nowMs: number): void {
    if (this.wakeAtMs() <= nowMs) this.#sayAgain(nowMs)
  }

  /** Everything of a close in good order is acked: CLOSE itself may go. */
  whenIdle(nowMs: number): void {
    const { closing, builder, sender, table } = this.#needs
    if (closing.state.type !== 'finishing') return
    builder.sealed = true
    builder.queue(closing.say(nowMs, sender.buffer.next))
    this.#packet = sender.sendControlNow(nowMs, table.active)
  }

  /** An ack came: perhaps of our CLOSE. */
  onAcked(nowMs: number): void {
    if (!this.#packet?.acked) return
    const { state } = this.#needs.closing
    this.#againAtMs = undefined
    if (state.type === 'saying') this.end(nowMs, { code: 'closed', message: state.message, remote: false }, false)
  }

  /** The time to wait for acks is over. Once CLOSE itself is said, all that the application gave is confirmed. */
  giveUp(nowMs: number): void {
    const { closing, sender } = this.#needs
    const { state } = closing
    if (state.type === 'saying') {
      this.end(nowMs, { code: 'closed', message: state.message, remote: false }, true)
      this.#sayAgain(nowMs)
      return
    }
    const left = sender.buffer.unackedPackets
    this.endSaying(nowMs, { code: 'timeout', message: `closing, but ${left} packets were not acknowledged in time`, remote: false })
  }

  /** Ends here and now, and tells the peer. */
  endSaying(nowMs: number, ending: Ending): void {
    const { closing, builder, sender } = this.#needs
    if (closing.over) return
    builder.sealed = true
    builder.clear()
    builder.queue(closing.frame(sender.buffer.next, ending.code, ending.message))
    this.#packet = sender.sendControlNow(nowMs, undefined)
    this.end(nowMs, ending, true)
    this.#sayAgain(nowMs)
  }

  /** Ends. @param keepPaths something still has to get out by them */
  end(nowMs: number, ending: Ending, keepPaths: boolean, peerCounts?: readonly StreamCount[]): void {
    const { closing, streams, builder, sender, receiver, outbox, table, keeper } = this.#needs
    const counts = streams.counts()
    builder.sealed = true
    receiver.closed = true
    sender.abandon(this.#packet)
    closing.end(nowMs, keepPaths && table.all.size > 0)
    streams.release()
    outbox.effect({ type: 'closed', ...ending, counts, ...(peerCounts === undefined ? {} : { peerCounts }) })
    if (!keepPaths) keeper.closeAll('closed')
    else if (this.#packet !== undefined && !this.#packet.acked) this.#againAtMs = nowMs + sayAgainMs
  }

  /** The tombstone's answer. */
  answer(path: Path): void {
    const packet = this.#packet
    if (packet !== undefined && !packet.acked) this.#needs.outbox.send(path, packet.header, packet.pieces, packet.bytes)
  }

  #sayAgain(nowMs: number): void {
    const { table } = this.#needs
    this.#againAtMs = undefined
    if (this.#packet === undefined || this.#packet.acked) return
    for (const path of table.all.values()) if (path.open) this.answer(path)
    if (table.all.size > 0) this.#againAtMs = nowMs + sayAgainMs
  }
}
