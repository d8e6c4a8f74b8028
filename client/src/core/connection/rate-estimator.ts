/** Delivery rate of one path, from the bytes acked between the sending of a packet and its ack (BBR's way), in bytes per millisecond. */

/** A packet is what the path carries in this time, so that it holds up nothing for longer. */
const packetTimeMs = 5
const packetBytesSmall = 1_200
const packetBytesUnmeasured = 16_384
/** 65 536 less tag and frame overhead. */
const packetBytesLarge = 65_280
/** How quickly a measured fall is believed; a rise is believed at once. */
const fallShare = 1 / 8

export class RateEstimator {
  /** Bytes per millisecond; undefined until measured. */
  rate: number | undefined

  /** @param applicationLimited the sender had nothing more to send, so that the path may carry more than was seen */
  sample(bytes: number, intervalMs: number, applicationLimited: boolean): void {
    const seen = bytes / Math.max(intervalMs, 0.05)
    if (this.rate === undefined || seen > this.rate) this.rate = seen
    else if (!applicationLimited) this.rate += (seen - this.rate) * fallShare
  }

  /** After a move: start from half of what the old path carried, if that is more than is known of this one. */
  inherit(oldRate: number | undefined): void {
    if (oldRate !== undefined && oldRate / 2 > (this.rate ?? 0)) this.rate = oldRate / 2
  }

  /** Plaintext bytes of a new packet. */
  packetBytes(): number {
    if (this.rate === undefined) return packetBytesUnmeasured
    return Math.min(Math.max(Math.floor(this.rate * packetTimeMs), packetBytesSmall), packetBytesLarge)
  }
}
