/** What is known of a packet outside its seal: these fields travel in the hop record and are authenticated end to end. */

/**
 * Kinds of packets. *Kept* ones (data, control) share one dense number space per direction, are held until acknowledged and resent as
 * the same bytes. *Loose* ones have their own rising numbers and are never resent. `handshake` carries the third message of the end
 * handshake and is not sealed by these keys; *datagrams* have rising numbers of their own, and are neither acknowledged nor resent.
 */
export const PACKET_KIND = { data: 0, control: 1, loose: 2, handshake: 3, datagram: 4 } as const

export interface PacketHeader {
  /** 0 is a packet; 1, a share of one (`split`, `disperse`). */
  readonly form: number
  /** One of {@link PACKET_KIND}. */
  readonly kind: number
  /** The key epoch, its low 16 bits. */
  readonly epoch: number
  /** Never reset: not by a new epoch, another path, or a resume. */
  readonly counter: number
}

/** Sealed size; above it head-of-line waiting behind one packet gets worse than the header it saves. */
export const packetBytesMax = 65_536

/** Plaintext that fits a packet of {@link packetBytesMax}, with the tag. */
export const packetPlaintextBytesMax: number = packetBytesMax - 16

/** The longest datagram: a packet less its tag, the frame's head, and what a share of it may cost. */
export const datagramBytesMax = 65_280

/** Whether packets of this kind are acknowledged and resent. */
export function isKept(kind: number): boolean {
  return kind === PACKET_KIND.data || kind === PACKET_KIND.control
}
