/**
 * Attachments whose carrier takes nothing now. Sources hear of it after a moment; a carrier that makes no progress for the limit's time is given up.
 */
import type { Attachment } from './attachment.ts'

/** "Wait" reaches sources when a carrier took nothing for this long; shorter blocks are the normal breath of TCP. */
const blockToldMs = 20

export class BlockedCarriers {
  private readonly stallMs: number
  private readonly blocked = new Set<Attachment>()

  /** @param stallMs no byte taken for so long: the carrier is dead */
  constructor(stallMs: number) {
    this.stallMs = stallMs
  }

  keys(): number[] {
    return [...this.blocked].map((attachment) => attachment.key)
  }

  /** @returns false when that was known */
  writable(nowMs: number, attachment: Attachment, writable: boolean): boolean {
    if ((attachment.blockedSinceMs === undefined) === writable) return false
    attachment.blockedSinceMs = writable ? undefined : nowMs
    attachment.blockTold = false
    if (writable) this.blocked.delete(attachment)
    else this.blocked.add(attachment)
    return true
  }

  /** It took some bytes: it is slow, not stalled. */
  progress(nowMs: number, attachment: Attachment): void {
    if (attachment.blockedSinceMs !== undefined) attachment.blockedSinceMs = nowMs
  }

  ended(attachment: Attachment): void {
    this.blocked.delete(attachment)
  }

  /** @param tell takes one whose sources are to wait @param giveUp takes one that is dead */
  wake(nowMs: number, tell: (attachment: Attachment) => void, giveUp: (attachment: Attachment) => void): void {
    for (const attachment of [...this.blocked]) {
      const sinceMs = attachment.blockedSinceMs!
      if (nowMs - sinceMs >= this.stallMs) giveUp(attachment)
      else if (!attachment.blockTold && nowMs - sinceMs >= blockToldMs) {
        attachment.blockTold = true
        tell(attachment)
      }
    }
  }

  wakeAtMs(): number {
    let atMs = Number.POSITIVE_INFINITY
    for (const attachment of this.blocked)
      atMs = Math.min(atMs, attachment.blockedSinceMs! + (attachment.blockTold ? this.stallMs : blockToldMs))
    return atMs
  }
}
