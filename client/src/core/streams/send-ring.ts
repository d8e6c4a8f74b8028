/** Cuts what is to be sent into `stream` frames, turn by turn, so that no stream waits for another. */
import type { StreamFrame } from '@sennit/protocol'
import { Deque } from '@sennit/protocol'
import { streamFrameOverheadBytes, turnBytes, unsentBytesMax } from './limits.ts'
import type { SendHalf } from './send-half.ts'

interface Place {
  readonly streamId: number
  readonly half: SendHalf
}

export class SendRing {
  private readonly places = new Deque<Place>()

  get waits(): boolean {
    this.skipEmpty()
    return this.places.length > 0
  }

  /** `half` may have more to send. */
  add(streamId: number, half: SendHalf): void {
    if (half.queued || half.sendable <= 0) return
    half.queued = true
    half.turn = 0
    this.places.push({ streamId, half })
  }

  /** Frames of at most `maxBytes` encoded; `sent` is called for each half whose last byte left, `room` for each that may take more again. */
  pull(maxBytes: number, sent: (streamId: number) => void, room: (streamId: number) => void): StreamFrame[] {
    const frames: StreamFrame[] = []
    let left = maxBytes
    while (left > streamFrameOverheadBytes) {
      this.skipEmpty()
      const place = this.places.first()
      if (place === undefined) break
      const { streamId, half } = place
      const data = half.buffer.take(Math.min(half.sendable, left - streamFrameOverheadBytes))
      frames.push({ type: 'stream', streamId, offset: half.sent, data })
      half.sent += data.length
      half.turn += data.length
      left -= data.length + streamFrameOverheadBytes
      if (half.wantsRoom && half.buffer.bytes <= unsentBytesMax / 2) {
        half.wantsRoom = false
        room(streamId)
      }
      if (half.sendable <= 0) {
        this.leave(half)
        if (half.sent === half.appended) sent(streamId)
      } else if (half.turn >= turnBytes && (left <= streamFrameOverheadBytes || this.places.length > 1)) {
        half.turn = 0
        this.places.shift()
        this.places.push(place)
      }
    }
    return frames
  }

  /** Nothing leaves any more. */
  clear(): void {
    this.places.clear()
  }

  private skipEmpty(): void {
    for (let place = this.places.first(); place !== undefined && place.half.sendable <= 0; place = this.places.first())
      this.leave(place.half)
  }

  private leave(half: SendHalf): void {
    half.queued = false
    this.places.shift()
  }
}
