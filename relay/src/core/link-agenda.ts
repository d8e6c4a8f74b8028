/** Which hop links of a relay want attention: those with something to be polled, in the order of its coming, and those that wake later. */
import { WakeHeap } from '@sennit/protocol'
import type { Attachment } from './attachment.ts'

export class LinkAgenda {
  private dirty: Attachment[] = []
  private dirtyHead = 0
  private readonly wakes = new WakeHeap<Attachment>()

  /** Its link has something to be polled. */
  touch(attachment: Attachment): void {
    if (attachment.dirty || attachment.ended) return
    attachment.dirty = true
    this.dirty.push(attachment)
  }

  /** The first to be polled, until it is {@link settled}. */
  next(): Attachment | undefined {
    const attachment = this.dirty[this.dirtyHead]
    if (attachment === undefined && this.dirtyHead > 0) {
      this.dirty = []
      this.dirtyHead = 0
    }
    return attachment
  }

  /** What {@link next} named has nothing more to say now. */
  settled(attachment: Attachment): void {
    this.dirtyHead += 1
    attachment.dirty = false
    if (attachment.ended) return
    const atMs = attachment.link.wakeAtMs()
    if (atMs === undefined || atMs >= attachment.scheduledMs) return
    attachment.scheduledMs = atMs
    this.wakes.push(atMs, attachment)
  }

  /** Takes one whose link is to be woken now; undefined when there is none left. */
  due(nowMs: number): Attachment | undefined {
    for (let due = this.wakes.popDue(nowMs); due !== undefined; due = this.wakes.popDue(nowMs)) {
      if (!isScheduled(due)) continue
      due.item.scheduledMs = Number.POSITIVE_INFINITY
      return due.item
    }
    return undefined
  }

  wakeAtMs(): number {
    return this.wakes.nextMs(isScheduled) ?? Number.POSITIVE_INFINITY
  }
}

/** Not of an attachment that is gone, nor replaced by an earlier time. */
function isScheduled(entry: { readonly atMs: number; readonly item: Attachment }): boolean {
  return !entry.item.ended && entry.item.scheduledMs === entry.atMs
}
