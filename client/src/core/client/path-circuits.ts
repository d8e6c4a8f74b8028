/** The circuits that are the paths of one connection: by their path ids, each with the name that both ends call it by. */
import { joinTag, type SessionSecrets } from '@sennit/protocol'
import type { Circuit, CircuitOwner } from './circuits.ts'
import type { ConnectionHost } from './connection-host.ts'

export class PathCircuits {
  readonly #host: ConnectionHost
  readonly #secrets: SessionSecrets
  readonly #owner: CircuitOwner
  readonly #byPath = new Map<number, Circuit>()

  /** @param owner takes what comes over them */
  constructor(host: ConnectionHost, secrets: SessionSecrets, owner: CircuitOwner) {
    this.#host = host
    this.#secrets = secrets
    this.#owner = owner
  }

  get size(): number {
    return this.#byPath.size
  }

  get(pathId: number): Circuit | undefined {
    return this.#byPath.get(pathId)
  }

  all(): Iterable<Circuit> {
    return this.#byPath.values()
  }

  /** A circuit becomes a path of the connection. */
  add(nowMs: number, circuit: Circuit): void {
    circuit.owner = this.#owner
    circuit.pathId = this.#host.nextPathId()
    circuit.openedAtMs = nowMs
    this.#byPath.set(circuit.pathId, circuit)
  }

  /** It is gone already. @returns whether it was one of these */
  forget(pathId: number): boolean {
    return this.#byPath.delete(pathId)
  }

  close(pathId: number, reason: string): void {
    const circuit = this.#byPath.get(pathId)
    this.#byPath.delete(pathId)
    if (circuit !== undefined) this.#host.circuits.close(circuit, reason)
  }

  closeAll(reason: string): void {
    for (const circuit of [...this.#byPath.values()]) this.#host.circuits.close(circuit, reason)
    this.#byPath.clear()
  }

  /** A circuit that began with a call is told its tag, so that our next JOIN there replaces it should its attachment die without a word. */
  tag(pathId: number): void {
    const circuit = this.#byPath.get(pathId)
    if (circuit === undefined || circuit.taggedAs === circuit.relayId) return
    const { attachment, relayId, number } = circuit
    circuit.taggedAs = relayId
    attachment.sendControl({ type: 'circuitTag', circuit: number, tag: joinTag(this.#host.crypto, this.#secrets, relayId) })
  }

  /** Bytes of datagrams that wait for the carrier, on the least of these paths: one that stands still is no reason to drop what others take. */
  queuedDatagramBytes(pathIds: Iterable<number>): number {
    let queuedBytes = Number.POSITIVE_INFINITY
    for (const pathId of pathIds) {
      const circuit = this.#byPath.get(pathId)
      if (circuit !== undefined) queuedBytes = Math.min(queuedBytes, circuit.attachment.queuedDatagramBytes(circuit.number))
    }
    return queuedBytes
  }
}
