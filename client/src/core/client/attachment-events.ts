/** What attachments tell, handed to whom it concerns: listening, calls, offers, circuits, joins. */
import type { HopControl, PacketHeader } from '@sennit/protocol'
import { type Attachment, ownEnds } from '../attach/attachment.ts'
import type { AttachmentSink } from '../attach/attachment-context.ts'
import type { Attachments } from '../attach/attachments.ts'
import type { BackoffFacts } from '../attach/backoff.ts'
import type { DialTarget } from '../attach/dial-race.ts'
import type { RelayListPart } from '../directory/list-parts.ts'
import type { CircuitTable } from './circuits.ts'
import type { Connections } from './connections.ts'
import type { IncomingAttempts } from './incoming.ts'
import type { Listen } from './listen.ts'
import type { Meeting } from './meeting.ts'
import type { ClientEffect, ClientEvent } from './types.ts'

/** The parts of a client that hear of attachments; all of them exist before the first attachment speaks. */
export interface AttachmentListeners {
  readonly random: () => number
  readonly attachments: Attachments
  readonly circuits: CircuitTable
  readonly connections: Connections
  readonly incoming: IncomingAttempts
  readonly meeting: Meeting
  readonly listens: ReadonlyMap<number, Listen>
}

export interface AttachmentEventsContext {
  listeners(): AttachmentListeners
  emit(effect: ClientEffect): void
  dirty(attachment: Attachment): void
  needsSync(): void
  /** Version of the signed list in force; undefined when relays are not asked for newer ones. */
  listVersion(): number | undefined
}

export class AttachmentEvents implements AttachmentSink {
  readonly #context: AttachmentEventsContext

  constructor(context: AttachmentEventsContext) {
    this.#context = context
  }

  get #to(): AttachmentListeners {
    return this.#context.listeners()
  }

  dial(attachment: Attachment, key: number, target: DialTarget, first: () => Uint8Array): void {
    this.#to.attachments.registerKey(key, attachment)
    const { relay, localAddress } = attachment
    const from = localAddress === undefined ? {} : { localAddress }
    this.#context.emit({ type: 'dial', key, relayId: relay, url: target.url, carrier: target.carrier, ...from, first })
  }

  write(key: number, pieces: Uint8Array[]): void {
    this.#context.emit({ type: 'write', key, pieces })
  }

  hangUp(key: number): void {
    this.#to.attachments.forgetKey(key)
    this.#context.emit({ type: 'hangUp', key })
  }

  dirty(attachment: Attachment): void {
    this.#context.dirty(attachment)
  }

  attached(nowMs: number, attachment: Attachment): void {
    this.#event({ type: 'attached', relayId: attachment.relayId, carrier: attachment.carrier!, url: attachment.url! })
    for (const listen of this.#to.listens.values()) listen.attached(attachment)
    const version = this.#context.listVersion()
    if (version !== undefined) attachment.sendControl({ type: 'relayListWanted', version })
    this.changed(nowMs, attachment)
  }

  detached(nowMs: number, attachment: Attachment, code: string, message: string): void {
    this.#event({ type: 'detached', relayId: attachment.relayId, code, message })
    if (!ownEnds.has(code)) this.#to.attachments.lost(nowMs)
    for (const listen of this.#to.listens.values()) listen.detached(attachment)
    this.#to.incoming.detached(attachment)
    this.#to.circuits.detached(nowMs, attachment)
    this.changed(nowMs, attachment)
  }

  dialFailed(nowMs: number, attachment: Attachment, code: string, message: string, retryInMs: number, resting: boolean): void {
    this.#event({ type: 'dial_failed', relayId: attachment.relayId, code, message, retryInMs })
    if (resting) this.#event({ type: 'relay_resting', relayId: attachment.relayId, forMs: retryInMs })
    this.#to.meeting.attachmentChanged(nowMs, attachment)
    this.#context.needsSync()
  }

  packet(nowMs: number, attachment: Attachment, circuit: number, header: PacketHeader, pieces: Uint8Array[]): void {
    const found = this.#to.circuits.get(attachment, circuit)
    found?.owner.packet(nowMs, found, header, pieces)
  }

  backoffFacts(attachment: Attachment): BackoffFacts {
    const { meeting, attachments, listens } = this.#to
    const mayRest = !meeting.needs.exposed() && attachments.mayRest(attachment)
    return { urgent: meeting.needs.urgent(), mayRest, serving: listens.size > 0 }
  }

  /** It came, went, or is to be left: connections and calls look again. */
  changed(nowMs: number, attachment: Attachment): void {
    for (const connection of this.#to.connections.all()) connection.attachmentChanged(nowMs, attachment)
    this.#to.meeting.attachmentChanged(nowMs, attachment)
    this.#context.needsSync()
  }

  control(nowMs: number, attachment: Attachment, message: HopControl): void {
    const to = this.#to
    switch (message.type) {
      case 'listening':
        to.listens.get(message.listenId)?.accepted(attachment)
        break
      case 'listenRefused':
        to.listens.get(message.listenId)?.refused(nowMs, attachment, message)
        break
      case 'offer':
        to.incoming.offer(nowMs, attachment, message)
        break
      case 'opened':
        to.incoming.opened(nowMs, attachment, message.offerId, message.circuit, message.credit)
        break
      case 'connected':
        to.meeting.connected(nowMs, attachment, message)
        break
      case 'result':
        to.meeting.result(nowMs, attachment, message)
        break
      case 'joined':
        this.#joined(nowMs, attachment, message)
        break
      case 'joinRefused':
        to.connections.byJoin(message.joinId)?.joinRefused(nowMs, attachment, message.joinId, message.code)
        this.#context.needsSync()
        break
      case 'circuitCredit': {
        const circuit = to.circuits.get(attachment, message.circuit)
        circuit?.owner.credit(nowMs, circuit, message.limit, message.wait)
        break
      }
      case 'circuitClose':
        to.circuits.closed(nowMs, attachment, message.circuit, message.reason)
        break
      case 'drain':
        this.#drain(nowMs, attachment, message)
        break
      case 'load':
        attachment.notices.load(nowMs, message.queueMs)
        break
      case 'relayListPart':
        this.#listPart(attachment, message)
        break
      case 'makeRoom':
        attachment.notices.makeRoom(nowMs, message.spreadMs, message.forMs)
        this.#event({ type: 'relay_crowded', relayId: attachment.relayId, forMs: message.forMs })
        this.#context.needsSync()
        break
      default:
        // A message that only relays take, or of a newer relay: nothing to do for it.
        break
    }
  }

  #joined(nowMs: number, attachment: Attachment, message: Extract<HopControl, { type: 'joined' }>): void {
    const connection = this.#to.connections.byJoin(message.joinId)
    if (connection === undefined) attachment.sendControl({ type: 'circuitClose', circuit: message.circuit, reason: 'not_wanted' })
    else connection.joined(nowMs, attachment, message.joinId, message.circuit, message.credit)
    this.#context.needsSync()
  }

  #listPart(attachment: Attachment, part: RelayListPart): void {
    const version = this.#context.listVersion()
    if (version === undefined || part.version <= version) return
    const signed = attachment.listParts.take(part)
    if (signed !== undefined) this.#context.emit({ type: 'relayList', relayId: attachment.relayId, signed })
  }

  /** Relays that go, or asked us to use others, are left at the moment that was drawn for each. */
  leaveDue(nowMs: number): void {
    for (const attachment of this.#to.attachments.all()) {
      const { draining } = attachment.notices
      if (draining === undefined || draining.left || nowMs < draining.leaveAtMs) continue
      draining.left = true
      this.changed(nowMs, attachment)
    }
    for (const attachment of this.#to.attachments.all()) {
      const { crowded } = attachment.notices
      if (crowded === undefined || nowMs < crowded.fromMs) continue
      if (nowMs >= crowded.untilMs) attachment.notices.crowded = undefined
      else if (!crowded.told) {
        crowded.told = true
        this.changed(nowMs, attachment)
      }
    }
  }

  #drain(nowMs: number, attachment: Attachment, { withinMs, spreadMs }: Extract<HopControl, { type: 'drain' }>): void {
    // Half of the time to move in is kept for the moving itself.
    const leaveAtMs = nowMs + this.#to.random() * Math.min(spreadMs, withinMs / 2)
    const { notices } = attachment
    notices.draining = { leaveAtMs, endAtMs: nowMs + withinMs, spreadMs, left: notices.draining?.left ?? false }
    this.#event({ type: 'relay_draining', relayId: attachment.relayId, withinMs })
    this.#context.needsSync()
  }

  #event(event: ClientEvent): void {
    this.#context.emit({ type: 'event', event })
  }
}
