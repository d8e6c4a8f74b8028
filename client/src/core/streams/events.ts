/**
 * What a {@link StreamSet} tells its user. Events are level hints, not a log: `readable`, `writable` and `message` are told once until they
 * are polled, however much came; read until nothing is left.
 */
export type StreamEvent =
  /** The peer opened a stream. Always the first event of its streams. */
  | { readonly type: 'streamOpened'; readonly streamId: number; readonly header: Uint8Array }
  | { readonly type: 'readable'; readonly streamId: number }
  /** Credit came after `write` took less than it was given, or `writableBytes` was 0; or `crowded` was true (also of stream 0) and is not any more. */
  | { readonly type: 'writable'; readonly streamId: number }
  /** The peer finished its half and the application has read all of it. */
  | { readonly type: 'finished'; readonly streamId: number }
  /** The peer gave its half up; what was not read is gone. */
  | { readonly type: 'reset'; readonly streamId: number; readonly errorCode: number }
  /** The peer reads no more; our half was reset with the same code. */
  | { readonly type: 'stopped'; readonly streamId: number; readonly errorCode: number }
  /** Both halves are over and the stream's memory is free; the last event of a stream. */
  | { readonly type: 'streamDone'; readonly streamId: number }
  /** At least one message waits: call `takeMessage` until it gives `undefined`. */
  | { readonly type: 'message' }
  /** Every message up to and including `index` is accepted: its bytes are within the credit of the peer. */
  | { readonly type: 'messageAccepted'; readonly index: number }
  /** Every message up to and including `index` that was not refused was taken by the other application. */
  | { readonly type: 'messageDelivered'; readonly index: number }
  | { readonly type: 'messageRefused'; readonly index: number; readonly errorCode: number }
  /** A message of the peer was longer than we take, and was refused. */
  | { readonly type: 'messageTooLarge'; readonly bytes: number }
