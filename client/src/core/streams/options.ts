/** How a stream set is made, and what it accounts for. */
import type { Frame, StreamFrame } from '@sennit/protocol'
import type { ProcessBudget } from './process-budget.ts'

export interface StreamSetOptions {
  /** The caller opens odd streams, the listener even ones. */
  readonly role: 'caller' | 'listener'
  /** Receive memory in bytes; half of it is granted on demand beyond the first 16 KiB of each stream. Small: slow on long paths. @default 32 MiB */
  readonly receiveBudgetBytes?: number
  /** Longest message sent and taken, in bytes; one such may be held beyond the budget. @default 64 MiB */
  readonly maxMessageBytes?: number
  /** Streams each end may have open at a time. @default 1024 */
  readonly streamsMax?: number
  /** The most credit one stream gets, in bytes, at most 64 MiB. Below rate × round trip a stream waits. @default 16 MiB */
  readonly windowBytes?: number
  /** Compression flags of messages that may come, as we told the peer. Others end the connection. @default 0 */
  readonly inflates?: number
  /** Memory shared with the other connections of the process. @default none */
  readonly budget?: ProcessBudget
}

/** What happened to the bytes of one stream, in bytes. */
export interface StreamAccount {
  readonly streamId: number
  /** Ours, taken over from the application within credit. */
  readonly accepted: number
  /** Ours, acked by the peer. */
  readonly received: number
  /** Ours, taken by the peer's application, as it last said. */
  readonly delivered: number
  readonly receivedHere: number
  readonly deliveredHere: number
}

/**
 * What {@link StreamSet.onAcked} must hear of a frame that was sent: of stream data only where it belonged and how long it was. A kept packet holds
 * this instead of the frame, or every byte in flight would be in memory twice, in the clear and sealed.
 */
export type SentFrame =
  | Exclude<Frame, StreamFrame>
  | { readonly type: 'stream'; readonly streamId: number; readonly data: { readonly length: number } }

/** What to keep of a frame once it is sealed. */
export function sentFrame(frame: Frame): SentFrame {
  return frame.type === 'stream' ? { type: 'stream', streamId: frame.streamId, data: { length: frame.data.length } } : frame
}
