/** Which connection a circuit of an attachment belongs to. A packet for circuit c of the attachment at relay r is looked up here. */
import type { PacketHeader } from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'

/** One circuit of one attachment; gone with it. */
export interface Circuit {
  readonly attachment: Attachment
  /** How both ends call the path: by a link id of one of them. The listener hears it from the caller (docs/decisions/0012). */
  relayId: string
  readonly number: number
  owner: CircuitOwner
  /** The path it is to its connection; 0 before there is one. */
  pathId: number
  /** Under which name the relay knows its tag: it came by a JOIN, or was told. */
  taggedAs: string | undefined
  /** When it became that path. */
  openedAtMs: number
  /** Latest word of the relay: payload bytes that may be sent. */
  creditBytes: number
}

/** Who takes what comes over a circuit: a handshake that is not confirmed, or a connection. */
export interface CircuitOwner {
  packet(nowMs: number, circuit: Circuit, header: PacketHeader, pieces: Uint8Array[]): void
  credit(nowMs: number, circuit: Circuit, limit: number, wait: boolean): void
  /** The circuit is gone already, from the table too. */
  circuitClosed(nowMs: number, circuit: Circuit, reason: string): void
}

export class CircuitTable {
  /** By the id of the link. */
  readonly #byRelay = new Map<string, Map<number, Circuit>>()

  /** A relay opened a circuit for `owner`. @param relayId how both ends call the path */
  add(attachment: Attachment, number: number, owner: CircuitOwner, creditBytes: number, relayId: string): Circuit {
    const circuit: Circuit = { attachment, relayId, number, owner, pathId: 0, taggedAs: undefined, openedAtMs: 0, creditBytes }
    const circuits = this.#byRelay.get(attachment.relayId) ?? new Map<number, Circuit>()
    this.#byRelay.set(attachment.relayId, circuits.set(number, circuit))
    return circuit
  }

  get(attachment: Attachment, number: number): Circuit | undefined {
    return this.#byRelay.get(attachment.relayId)?.get(number)
  }

  /** Says to the relay that the circuit is over and forgets it. Its owner is not told: it is the one who asks. */
  close(circuit: Circuit, reason: string): void {
    if (!this.#forget(circuit)) return
    circuit.attachment.sendControl({ type: 'circuitClose', circuit: circuit.number, reason })
    circuit.attachment.dropCircuit(circuit.number)
  }

  /** The relay closed it. */
  closed(nowMs: number, attachment: Attachment, number: number, reason: string): void {
    const circuit = this.get(attachment, number)
    if (circuit === undefined || !this.#forget(circuit)) return
    circuit.attachment.dropCircuit(number)
    circuit.owner.circuitClosed(nowMs, circuit, reason)
  }

  /** The attachment is gone, and all its circuits with it. */
  detached(nowMs: number, attachment: Attachment): void {
    const circuits = this.#byRelay.get(attachment.relayId)
    this.#byRelay.delete(attachment.relayId)
    for (const circuit of circuits?.values() ?? []) circuit.owner.circuitClosed(nowMs, circuit, 'attachment_lost')
  }

  /** Links that carry at least one circuit. */
  linksInUse(): Iterable<string> {
    return this.#byRelay.keys()
  }

  #forget(circuit: Circuit): boolean {
    const link = circuit.attachment.relayId
    const circuits = this.#byRelay.get(link)
    if (circuits?.get(circuit.number) !== circuit) return false
    circuits.delete(circuit.number)
    if (circuits.size === 0) this.#byRelay.delete(link)
    return true
  }
}
