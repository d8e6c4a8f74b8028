/** Which attachments belong to one running client: same user, label and instance. More than one means a new link, or an old one that died without a word. */

import type { Attachment } from './attachment.ts'

export class RunningClients {
  private readonly attachments = new Map<string, Attachment[]>()

  /** It proved who is behind it. */
  add(attachment: Attachment): void {
    const key = keyOf(attachment)
    this.attachments.set(key, [...(this.attachments.get(key) ?? []), attachment])
  }

  delete(attachment: Attachment): void {
    const key = keyOf(attachment)
    const rest = (this.attachments.get(key) ?? []).filter((other) => other !== attachment)
    if (rest.length === 0) this.attachments.delete(key)
    else this.attachments.set(key, rest)
  }

  /** The client's other attachments, oldest first. */
  othersOf(attachment: Attachment): Attachment[] {
    return (this.attachments.get(keyOf(attachment)) ?? []).filter((other) => other !== attachment)
  }
}

function keyOf({ who }: Attachment): string {
  return `${who!.user}\0${who!.label}\0${who!.instance}`
}
