/** What clients ask a relay for: each message goes to the part that does it. */
import type { HopControl } from '@sennit/protocol'
import type { Attachment } from './attachment.ts'
import type { Circuits } from './circuits.ts'
import type { Joins } from './joins.ts'
import type { ListTeller } from './list-teller.ts'
import type { Matching } from './matching.ts'

/** A reason is a word, not a letter. */
const reasonMax = 64

export class Requests {
  private readonly circuits: Circuits
  private readonly joins: Joins
  private readonly matching: Matching
  private readonly lists: ListTeller

  constructor(circuits: Circuits, joins: Joins, matching: Matching, lists: ListTeller) {
    this.circuits = circuits
    this.joins = joins
    this.matching = matching
    this.lists = lists
  }

  take(nowMs: number, attachment: Attachment, message: HopControl): void {
    // The link lets nothing pass before the handshake; this only says so to the compiler.
    if (attachment.who === undefined) return
    switch (message.type) {
      case 'listen':
        this.matching.listen(nowMs, attachment, message)
        return
      case 'unlisten':
        this.matching.unlisten(nowMs, attachment, message.listenId)
        return
      case 'connect':
        this.matching.connect(nowMs, attachment, message)
        return
      case 'cancel':
        this.matching.cancel(attachment, message.requestId)
        return
      case 'answer':
        this.matching.answer(nowMs, attachment, message.offerId, message.handshake)
        return
      case 'reject':
        this.matching.reject(attachment, message.offerId, message.code)
        return
      case 'join':
        this.joins.join(nowMs, attachment, message)
        return
      case 'relayListWanted':
        this.lists.wanted(attachment, message.version)
        return
      case 'leave':
        this.joins.leave(attachment, message.joinId)
        return
      case 'circuitTag':
        this.joins.tagged(attachment, message)
        return
      case 'circuitClose': {
        const half = attachment.circuits.get(message.circuit)
        if (half !== undefined) this.circuits.close(half, message.reason.slice(0, reasonMax), false)
        return
      }
      default:
        // Messages that only a relay sends, and those of a newer client: nothing is harmed by ignoring them.
        return
    }
  }
}
