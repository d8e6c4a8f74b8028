/** Where a steady source writes: a socket, or a stream of the library. */
export interface Outlet {
  /** @returns false when it should wait for `onDrain` */
  write(bytes: Buffer): boolean
  /** Bytes that it has taken off our hands, of those written. */
  taken(): number
  /** Ends the stream in order. */
  end(): void
  /** Gives it up. */
  drop(): void
}

/** What an outlet tells. */
export interface OutletEvents {
  onDrain(): void
  /** It ended, and not by our `end`. */
  onCut(why: string): void
}

/** A stream starts with this many bytes of its number, so that the sink knows which one has come; the pattern follows. */
export const numberBytes = 4

export function numberHeader(stream: number): Buffer {
  const header = Buffer.alloc(numberBytes)
  header.writeUInt32LE(stream)
  return header
}
