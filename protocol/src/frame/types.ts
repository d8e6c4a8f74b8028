/**
 * Frames: what a packet carries once opened. Each is varint type ‖ varint length ‖ body, layouts beside the numbers below.
 * Numbers are never reused. An unknown **even** type is skipped, an unknown **odd** one closes the connection with `unsupported`:
 * so a later version marks by parity whether an older peer may ignore what it says. 0 is padding (any body, skipped).
 *
 * In layouts: `v` varint (RFC 9000 §16), `text` varint length and UTF-8, `us` a varint of microseconds, `ranges` as in an ack.
 */

/** A part of the bytes of a stream. Data packets only. Stream 0 is the messages. */
export interface StreamFrame {
  type: 'stream'
  streamId: number
  offset: number
  data: Uint8Array
}

/** A new stream, named before its first byte. The caller's ids are odd, the listener's even; 0 always exists. */
export interface OpenFrame {
  type: 'open'
  streamId: number
  /** The application's own words about the stream, at most {@link streamHeaderBytesMax}. */
  header: Uint8Array
}

/** Absolute, never taken back: the peer may send up to `limit`; `consumed` bytes were taken by the application. */
export interface CreditFrame {
  type: 'credit'
  streamId: number
  limit: number
  consumed: number
}

/** No bytes come after `finalOffset`. */
export interface FinFrame {
  type: 'fin'
  streamId: number
  finalOffset: number
}

/** The sender gave the stream up at `finalOffset`. */
export interface ResetFrame {
  type: 'reset'
  streamId: number
  errorCode: number
  finalOffset: number
}

/** The receiver wants no more of the stream. */
export interface StopFrame {
  type: 'stop'
  streamId: number
  errorCode: number
}

/** A message was refused; `index` counts messages from 0 in the direction of the refused one. */
export interface MessageRefusedFrame {
  type: 'messageRefused'
  index: number
  errorCode: number
}

/** All messages up to and including `index` were taken by the application. */
export interface MessageDeliveredFrame {
  type: 'messageDelivered'
  index: number
}

/** Answers at key confirmation: this connection is on, wait for mine, one exists already. */
export interface VerdictFrame {
  type: 'confirm' | 'yield' | 'exists'
}

/** One relay of a plan, with the costs that ranked it. */
export interface PlanRelay {
  relayId: string
  costMs: number
  callerRttMs: number
  listenerRttMs: number
}

/** The captain's whole plan: relays best first (the fail-over order), the active one per direction, the standby. */
export interface PlanFrame {
  type: 'plan'
  epoch: number
  relays: PlanRelay[]
  activeFromCaller: string
  activeFromListener: string
  standby: string
}

/**
 * How the plan of this epoch uses its relays, beside the plan and before it. Ends that do not know it go by the plan alone. `paths` is what the
 * caller asks for, in the words of docs/protocol.md ("Ways to use several relays"); the relays are those that carry each direction.
 */
export interface PlanModesFrame {
  type: 'planModes'
  epoch: number
  paths: string
  fromCaller: string[]
  fromListener: string[]
}

/** The sender knows the modes of this plan and does as they say. Beside `planOk`. */
export interface ModesOkFrame {
  type: 'modesOk'
  epoch: number
}

/** The sender wants the relays used in this way, as it sees the two directions. The captain plans accordingly. */
export interface PathsFrame {
  type: 'paths'
  paths: string
}

/** The kept packet, or share of one, that arrived last on the path this travels on, and how long ago. A path is first-in-first-out. */
export interface SeenFrame {
  type: 'seen'
  number: number
  delayMs: number
}

/** The relay changed or made up so many payloads on their way to the sender of this. */
export interface RelayLiesFrame {
  type: 'relayLies'
  relayId: string
  count: number
}

/**
 * The sender can do nothing sooner for knowing sooner that a packet arrived, so the ack of a lone small data packet may wait this long and go
 * with what the receiver sends by then.
 */
export interface AckDelayFrame {
  type: 'ackDelay'
  delayMs: number
}

/**
 * When the newest kept packet arrived, since the sender of this began, by its clock. Before an ack, whose `delayMs` runs from then: the other end
 * learns the two halves of its round trip, but for what one clock is ahead.
 */
export interface ArrivedFrame {
  type: 'arrived'
  atMs: number
}

export interface PlanOkFrame {
  type: 'planOk'
  epoch: number
}

export interface PlanNoFrame {
  type: 'planNo'
  epoch: number
  relayId: string
  reason: string
}

/** The sender suspects this path: use it for no acks. */
export interface PathBadFrame {
  type: 'pathBad'
  relayId: string
}

/** What the sender of a close knows of one stream: bytes received by it, and of these taken by its application. */
export interface StreamCount {
  streamId: number
  received: number
  delivered: number
}

/** The end: `lastKept` is the last kept number sent, `reason` a code, `message` for people (cut to {@link closeMessageBytesMax}). */
export interface CloseFrame {
  type: 'close'
  lastKept: number
  reason: string
  message: string
  counts: StreamCount[]
}

/** From (inclusive) to (exclusive), in kept numbers. */
export type AckRange = [from: number, to: number]

/** Which kept packets arrived: all under `cumulative`, and the ranges above it, ascending and apart. */
export interface AckState {
  cumulative: number
  ranges: AckRange[]
}

export interface AckFrame extends AckState {
  type: 'ack'
  /** How long the newest one waited for this ack. */
  delayMs: number
}

export interface PingFrame {
  type: 'ping' | 'pong'
  id: number
}

/** Opens or resumes a path. A path carries data once the peer echoed the nonce. */
export interface HelloFrame {
  type: 'hello'
  relayId: string
  /** 8 bytes. */
  nonce: Uint8Array
  /** The peer's nonce, or no bytes. */
  echo: Uint8Array
  ack: AckState
  planEpoch: number
}

/** What the sender measured of one relay, and how old that is. */
export interface RelayMeasurement {
  relayId: string
  rttMs: number
  varMs: number
  /** 0 to 1. */
  loss: number
  ageMs: number
  reachable: boolean
  /** What the reporting end's own policy adds to the cost; left out when it is nothing. */
  policyMs?: number
}

export interface ReportFrame {
  type: 'report'
  relays: RelayMeasurement[]
}

/** Says nothing. Being kept and acked is all it is for: it lets an epoch end in which only datagrams were sent. */
export interface NothingFrame {
  type: 'nothing'
}

/** Bytes that may be lost, and that come whole or not at all. Packets of kind datagram only. */
export interface DatagramFrame {
  type: 'datagram'
  data: Uint8Array
}

export type Frame =
  | StreamFrame
  | OpenFrame
  | CreditFrame
  | FinFrame
  | ResetFrame
  | StopFrame
  | MessageRefusedFrame
  | MessageDeliveredFrame
  | VerdictFrame
  | PlanFrame
  | PlanModesFrame
  | ModesOkFrame
  | PathsFrame
  | SeenFrame
  | RelayLiesFrame
  | ArrivedFrame
  | AckDelayFrame
  | PlanOkFrame
  | PlanNoFrame
  | PathBadFrame
  | CloseFrame
  | AckFrame
  | PingFrame
  | HelloFrame
  | ReportFrame
  | NothingFrame
  | DatagramFrame

/** The numbers on the wire, with the layout of each body. */
export const FRAME_TYPE: Readonly<Record<Frame['type'], number>> = {
  stream: 0x01, // v streamId ‖ v offset ‖ data to the end
  open: 0x03, // v streamId ‖ header to the end
  credit: 0x05, // v streamId ‖ v limit ‖ v consumed
  fin: 0x07, // v streamId ‖ v finalOffset
  reset: 0x09, // v streamId ‖ v errorCode ‖ v finalOffset
  stop: 0x0b, // v streamId ‖ v errorCode
  messageRefused: 0x0d, // v index ‖ v errorCode
  messageDelivered: 0x0f, // v index
  confirm: 0x11, // nothing
  yield: 0x13, // nothing
  exists: 0x15, // nothing
  plan: 0x17, // v epoch ‖ v count ‖ count × (text relayId ‖ us cost ‖ us callerRtt ‖ us listenerRtt) ‖ text ‖ text ‖ text
  planOk: 0x19, // v epoch
  planNo: 0x1b, // v epoch ‖ text relayId ‖ text reason
  pathBad: 0x1d, // text relayId
  close: 0x1f, // v lastKept ‖ text reason ‖ text message ‖ v count ‖ count × (v streamId ‖ v received ‖ v delivered)
  ack: 0x21, // v cumulative ‖ v count ‖ count × (v gap ≥ 1 ‖ v length ≥ 1) ‖ us delay
  ping: 0x23, // v id
  pong: 0x25, // v id
  hello: 0x27, // text relayId ‖ 8 bytes nonce ‖ u8 0 or 8 ‖ echo ‖ v cumulative ‖ ranges ‖ v planEpoch
  report: 0x28, // v count ‖ count × (text relayId ‖ us rtt ‖ us var ‖ v loss in millionths ‖ v ageMs ‖ u8 reachable)
  datagram: 0x2a, // data to the end
  nothing: 0x2c, // nothing
  planModes: 0x36, // v epoch ‖ text paths ‖ v count ‖ count × text relayId ‖ v count ‖ count × text relayId
  modesOk: 0x2e, // v epoch
  paths: 0x30, // text paths
  seen: 0x32, // v number ‖ us delay
  relayLies: 0x34, // text relayId ‖ v count
  ackDelay: 0x38, // us delay
  arrived: 0x3a, // us time
}

/** Words of an application about a stream it opens: a name and a little, not a payload. */
export const streamHeaderBytesMax = 1_024
/** A relay id: what fits a DNS label. */
export const relayIdBytesMax = 63
/** Words for ways to use relays, such as `send=disperse(2,3),receive=rotate(secret,10s);short=fail`. */
export const pathsBytesMax = 128
/** A stable code such as `peer_restarted`. */
export const codeBytesMax = 64
/** Words for people in a close. */
export const closeMessageBytesMax = 1_024
/** Ranges of an ack: with more, the oldest gaps are filled first and the rest is told later. */
export const ackRangesMax = 32
/** Relays in one plan or report: more than the list of any client is ranked. */
export const relaysMax = 64
/** Streams in one close: four times what may be open at once, so that those that just ended fit. */
export const streamCountsMax = 4_096
/** Bytes of a path hello's nonce. */
export const helloNonceBytes = 8
