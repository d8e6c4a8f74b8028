/** Makes new kept packets: control frames first, then data from the streams, as much as one packet holds. Small writes share a packet. */
import { Deque, encodeFrames, type Frame, frameBytes, PACKET_KIND, type PacketSealer, totalBytes } from '@sennit/protocol'
import type { StreamSet } from '../streams/index.ts'
import { sentFrame } from '../streams/options.ts'
import type { Epochs } from './epochs.ts'
import type { KeptPacket } from './send-buffer.ts'

/** Control packets are small, so that a relay's and a peer's bounds on control hold. */
const controlBytesMax = 16_384

export interface BuilderNeeds {
  readonly sealer: PacketSealer
  readonly epochs: Epochs
  readonly streams: StreamSet
}

export class PacketBuilder {
  readonly #needs: BuilderNeeds
  /** Frames of the agreement and of this machine, in order, before those of the streams. */
  readonly #control: Deque<Frame> = new Deque()
  /** The streams are over: only own frames are sent. */
  sealed = false

  constructor(needs: BuilderNeeds) {
    this.#needs = needs
  }

  queue(frame: Frame): void {
    this.#control.push(frame)
  }

  /** Forgets what was queued and not yet sent. */
  clear(): void {
    this.#control.clear()
  }

  hasControl(): boolean {
    return this.#control.length > 0 || (!this.sealed && this.#needs.streams.hasControl())
  }

  /** Frames of the agreement wait. */
  hasOwn(): boolean {
    return this.#control.length > 0
  }

  hasData(): boolean {
    return !this.sealed && this.#needs.streams.hasData()
  }

  /**
   * Words of the connection itself, or else what the streams have to say; never both in one packet, since the first may have to be sent again
   * where the second may not. @param all also what the streams have to say
   */
  control(number: number, all = true): KeptPacket | undefined {
    const frames: Frame[] = []
    let room = controlBytesMax
    for (let frame = this.#control.first(); frame !== undefined; frame = this.#control.first()) {
      // The modes of a plan, or the answer to them, are in one packet with what follows: a plan that came alone would be another one.
      const inseparable = frame.type === 'planModes' || frame.type === 'modesOk' ? this.#control.at(1) : undefined
      const bytes = frameBytes(frame)
      const togetherBytes = bytes + (inseparable === undefined ? 0 : frameBytes(inseparable))
      // A frame longer than the room (the counts of a close) goes alone.
      if (togetherBytes > room && frames.length > 0) break
      frames.push(frame)
      room -= bytes
      this.#control.shift()
    }
    const own = frames.length > 0
    if (all && !own && !this.sealed) frames.push(...this.#needs.streams.pullControl(room))
    return frames.length === 0 ? undefined : this.#seal(number, PACKET_KIND.control, frames, own)
  }

  /** @param ack goes in front of the data, if there is some; it is not kept: a later one says more */
  data(number: number, bytesMax: number, ack?: Frame): KeptPacket | undefined {
    const frames = this.#needs.streams.pullData(ack === undefined ? bytesMax : bytesMax - frameBytes(ack))
    return frames.length === 0 ? undefined : this.#seal(number, PACKET_KIND.data, frames, false, ack)
  }

  #seal(number: number, kind: number, frames: readonly Frame[], own: boolean, ack?: Frame): KeptPacket {
    const { sealer, epochs } = this.#needs
    const header = { form: 0, kind, epoch: sealer.sendEpoch, counter: number }
    const pieces = sealer.seal(header, encodeFrames(ack === undefined ? frames : [ack, ...frames]))
    const bytes = totalBytes(pieces)
    epochs.onSealed(bytes)
    return {
      number,
      header,
      pieces,
      bytes,
      frames: frames.map(sentFrame),
      epoch: epochs.sendEpoch,
      acked: false,
      timesSent: 0,
      flight: undefined,
      more: undefined,
      shares: undefined,
      skip: 0,
      own,
      waitsToBeResent: false,
    }
  }
}
