/** Two stream sets and a pipe between them that shuffles, duplicates and delays, and a keystream to check every byte by. */
import { decodeFrames, encodeFrames, type Frame } from '@sennit/protocol'
import { StreamSet, type StreamSetOptions } from '../../src/core/streams/index.ts'

/** A small seeded generator: the same seed gives the same run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** The byte that belongs at `offset` of the stream `key`. */
export function keyByte(key: number, offset: number): number {
  return (Math.imul(offset + 1, 2654435761) ^ Math.imul(key + 7, 40503) ^ (offset >>> 8)) & 0xff
}

export function keyBytes(key: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = keyByte(key, offset + i)
  return bytes
}

export function isKey(bytes: Uint8Array, key: number, offset: number): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== keyByte(key, offset + i)) return false
  return true
}

export interface Packet {
  readonly frames: Frame[]
  copies: number
  acked: boolean
}

/** One direction. Packets are encoded and decoded on the way, so that bounds and views are those of the wire. */
export class Direction {
  readonly from: StreamSet
  readonly to: StreamSet
  readonly inFlight: Packet[] = []
  /** Called for every frame that is delivered, duplicates too. */
  onFrame: (frame: Frame) => void = () => {}

  constructor(from: StreamSet, to: StreamSet) {
    this.from = from
    this.to = to
  }

  /** Cuts packets of `bytes` out of the sender until it has no more, at most `max` packets. */
  pull(bytes: number, max = Number.POSITIVE_INFINITY): void {
    for (let i = 0; i < max; i++) {
      const control = this.from.pullControl(Math.max(bytes, 1200))
      if (control.length > 0) this.send(control, Math.max(bytes, 1200))
      const data = this.from.pullData(bytes)
      if (data.length > 0) this.send(data, bytes)
      if (control.length === 0 && data.length === 0) return
    }
  }

  /** Delivers the packet at `index`; keeps it in flight when `again`. Acks it the first time. */
  deliver(index: number, again = false): void {
    const packet = this.inFlight[index]!
    if (!again) {
      this.inFlight[index] = this.inFlight[this.inFlight.length - 1]!
      this.inFlight.pop()
    }
    const pieces = encodeFrames(packet.frames)
    const plaintext = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
    let at = 0
    for (const piece of pieces) {
      plaintext.set(piece, at)
      at += piece.length
    }
    for (const frame of decodeFrames(plaintext)) {
      this.onFrame(frame)
      this.to.onFrame(frame)
    }
    if (packet.acked) return
    packet.acked = true
    this.from.onAcked(packet.frames)
  }

  private send(frames: Frame[], bytes: number): void {
    const size = encodeFrames(frames).reduce((sum, piece) => sum + piece.length, 0)
    if (size > bytes) throw new Error(`pulled ${size} bytes where ${bytes} were allowed`)
    this.inFlight.push({ frames, copies: 0, acked: false })
  }
}

/** A caller and a listener, and both directions between them. */
export function pair(
  caller: Omit<StreamSetOptions, 'role'> = {},
  listener: Omit<StreamSetOptions, 'role'> = caller,
): { a: StreamSet; b: StreamSet; ab: Direction; ba: Direction; settle: (packetBytes?: number) => void } {
  const a = new StreamSet({ role: 'caller', ...caller })
  const b = new StreamSet({ role: 'listener', ...listener })
  const ab = new Direction(a, b)
  const ba = new Direction(b, a)
  /** Moves everything both ways, in order, until nothing moves. */
  const settle = (packetBytes = 65_000): void => {
    for (;;) {
      ab.pull(packetBytes)
      ba.pull(packetBytes)
      if (ab.inFlight.length + ba.inFlight.length === 0) return
      for (const direction of [ab, ba]) {
        const packets = direction.inFlight.splice(0)
        for (const packet of packets) {
          direction.inFlight.push(packet)
          direction.deliver(direction.inFlight.length - 1)
        }
      }
    }
  }
  return { a, b, ab, ba, settle }
}

export function drain(set: StreamSet): ReturnType<StreamSet['poll']>[] {
  const events: ReturnType<StreamSet['poll']>[] = []
  for (let event = set.poll(); event !== undefined; event = set.poll()) events.push(event)
  return events
}
