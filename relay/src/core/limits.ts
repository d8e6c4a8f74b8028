/** Every bound of a relay, with its starting number. */

/** Sizes are bytes, durations milliseconds; a limit that is reached refuses and counts, it never queues. */
export interface RelayLimits {
  /** New sockets a second from one address (IPv6: one /64). @default 20. Too small refuses a crowd behind one NAT that comes back at once. */
  readonly newPerSecond: number
  /** How many of them may come in one go. @default 40 */
  readonly newBurst: number
  /** Sockets of one address that have not proved who they are. @default 64 */
  readonly openPerAddress: number
  /** Sockets of all addresses that have not proved who they are. @default 4096. Bounds the memory of a flood from many addresses. */
  readonly openUnauthenticated: number
  /** Attachments in all. @default 65536 */
  readonly attachments: number
  /** Attachments of one user. @default 256. Each command of a user is one. */
  readonly attachmentsPerUser: number
  /** Names one user may listen on, over all its attachments. @default 1024 */
  readonly listensPerUser: number
  /** Requests one attachment may have open. @default 256 */
  readonly requestsPerAttachment: number
  /** Requests held for somebody who is not here. @default 16384. With 8 KiB of handshake each this bounds 128 MiB. */
  readonly heldRequests: number
  /** Requests a user may ask for per second. @default 200 */
  readonly lookupsPerSecond: number
  /** @default 400 */
  readonly lookupsBurst: number
  /** Unanswered offers at one listener; further requests wait. @default 256 */
  readonly offersPerAttachment: number
  /** JOINs of one attachment that wait for their other half. @default 1024 */
  readonly joinsPerAttachment: number
  /** Circuits of one attachment. @default 4096 */
  readonly circuitsPerAttachment: number
  /** Circuits of one user. @default 16384 */
  readonly circuitsPerUser: number
  /** Largest end-to-end handshake message carried in a request or an answer. @default 8192 */
  readonly handshakeBytes: number
  /** What the relay may hold for slow readers, all circuits together. @default 256 MiB */
  readonly memoryBytes: number
  /** What may be promised towards one destination; one source may have a quarter of it. @default 256 MiB. Promises of idle circuits count, so it is more than what a destination is ever owed. */
  readonly destinationBytes: number
  /** Hop credit of a fresh circuit. @default 1 MiB, so that a new path is not slow before it is measured */
  readonly creditStartBytes: number
  /** Hop credit of a circuit whose reader is slow. @default 128 KiB: two of the largest packets */
  readonly creditFloorBytes: number
  /** @default 16 MiB: 1 Gbit/s × 64 ms, twice */
  readonly creditMaxBytes: number
  /** What one user may send through this relay in a second; over it, its circuits wait for credit. @default Infinity: no limit */
  readonly userBytesPerSecond: number
  /** What one user may send through this relay in 24 hours; over it, its circuits end. @default Infinity: no limit */
  readonly userBytesPerDay: number
  /** Over so many forwarded bytes a second some clients are asked to use other relays. @default no limit */
  readonly busyBytesPerSecond: number
  /** Over so many attachments some clients are asked to use other relays. @default 58 982: nine tenths of `attachments` */
  readonly busyAttachments: number
  /** A carrier that takes nothing for so long is closed; its connections live on elsewhere. @default 2000 */
  readonly writeStallMs: number
}

/** The numbers of a relay that is told nothing. */
export const defaultLimits: RelayLimits = {
  newPerSecond: 20,
  newBurst: 40,
  openPerAddress: 64,
  openUnauthenticated: 4096,
  attachments: 65_536,
  attachmentsPerUser: 256,
  listensPerUser: 1024,
  requestsPerAttachment: 256,
  heldRequests: 16_384,
  lookupsPerSecond: 200,
  lookupsBurst: 400,
  offersPerAttachment: 256,
  joinsPerAttachment: 1024,
  circuitsPerAttachment: 4096,
  circuitsPerUser: 16_384,
  handshakeBytes: 8192,
  memoryBytes: 256 * 1024 * 1024,
  destinationBytes: 256 * 1024 * 1024,
  creditStartBytes: 1024 * 1024,
  creditFloorBytes: 128 * 1024,
  creditMaxBytes: 16 * 1024 * 1024,
  userBytesPerSecond: Number.POSITIVE_INFINITY,
  userBytesPerDay: Number.POSITIVE_INFINITY,
  busyBytesPerSecond: Number.POSITIVE_INFINITY,
  busyAttachments: 58_982,
  writeStallMs: 2000,
}
