/** The seam between the relay's shell and a carrier: a reliable ordered pipe of hop bytes both ways. Owned by the shell. */

/** What a carrier reports. Set once, before the carrier delivers its first bytes. */
export interface CarrierEvents {
  /**
   * Bytes from the client, in order. The chunk is the receiver's.
   * @returns how many of its bytes will come back as slices of it in a `write`, each once; Infinity when that cannot be told. A carrier that sees
   *   all of them written may use the memory again; others need not care
   */
  bytes(chunk: Uint8Array): number
  /** After a `write` that returned false: there is room again. */
  drained(): void
  /** The carrier is gone; told once, and not after `close`. */
  closed(why: string): void
}

/** One attachment's carrier at the relay. */
export interface ServerCarrier {
  readonly carrier: string
  readonly address: string
  /** Queues the pieces in order, without copying; false when full. What was written is kept either way. */
  write(pieces: readonly Uint8Array[]): boolean
  /** Bytes written that the kernel (or the peer's window) has not taken yet: falling means progress. */
  pendingBytes(): number
  /** Ends it after what was written; destroys it when that takes longer than a second. */
  close(reason: string): void
  /** Starts delivery. */
  start(events: CarrierEvents): void
}

/** A carrier is full above this: one hop record of the largest size, so that the next one waits in the link, where loose packets can overtake it. */
export const carrierHighWaterBytes: number = 256 * 1024

/** How long a closing carrier may take to send its last bytes. */
export const closeGraceMs = 1000
