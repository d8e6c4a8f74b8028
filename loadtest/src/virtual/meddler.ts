// A relay that does not do its duty: it drops, doubles, delays, swaps and damages the sealed packets that it should only pass on. No relay is
// trusted with a byte, so none of this may ever reach an application. It steps in where a relay's machine forwards a packet.
import { concat, emptyBytes, PACKET_KIND, type PacketHeader } from '@sennit/protocol'
import type { RelayMachine } from '@sennit/relay/core'
import type { World } from './world.ts'

/** Shares of packets, each 0 to 1. */
export interface Meddling {
  readonly drop: number
  readonly duplicate: number
  /** Sent on later than packets that came after it. */
  readonly reorder: number
  readonly flip: number
}

/** What a meddler knows of the machine it sits in. */
interface Half {
  readonly circuit: number
  readonly other: Half
  readonly attachment: Source
}
interface Source {
  readonly circuits: ReadonlyMap<number, Half>
  readonly link: { sendPacket?: (circuit: number, header: PacketHeader, pieces: readonly Uint8Array[]) => void }
}
type Forward = (nowMs: number, source: Source, circuit: number, header: PacketHeader, pieces: readonly Uint8Array[]) => void
interface Circuits {
  forward: Forward
  drained(nowMs: number, destination: Source, circuit: number, bytes: number): void
}

/** The longest a packet is kept back. */
const reorderMsMax = 40

export class Meddler {
  meddling: Meddling | undefined
  readonly #world: World
  readonly #touch: () => void

  constructor(world: World, touch: () => void) {
    this.#world = world
    this.#touch = touch
  }

  /** Steps in before a machine that has just started. */
  watch(machine: RelayMachine): void {
    // The one place where the world reaches into a machine: a relay's own misdeeds have no seam.
    const { circuits } = machine as unknown as { circuits: Circuits }
    const honest = circuits.forward.bind(circuits)
    circuits.forward = (nowMs, source, circuit, header, pieces) => {
      const { meddling } = this
      if (meddling === undefined) honest(nowMs, source, circuit, header, pieces)
      else if (this.#world.dice.chance(meddling.drop)) this.#drop(circuits, honest, nowMs, source, circuit, header, pieces)
      else this.#forward(meddling, honest, nowMs, source, circuit, header, pieces)
    }
  }

  /** The packet is counted, so that no credit is lost with it, and goes nowhere. */
  #drop(circuits: Circuits, honest: Forward, ...[nowMs, source, circuit, header, pieces]: Parameters<Forward>): void {
    const other = source.circuits.get(circuit)?.other
    if (other === undefined) return
    this.#world.coverage.hit(`relay drops ${header.kind < PACKET_KIND.loose ? 'kept' : 'loose'} packet`)
    const { link } = other.attachment
    link.sendPacket = () => {}
    honest(nowMs, source, circuit, header, pieces)
    // The link's own method stands behind it again.
    delete link.sendPacket
    let bytes = 0
    for (const piece of pieces) bytes += piece.length
    circuits.drained(nowMs, other.attachment, other.circuit, bytes)
  }

  #forward(meddling: Meddling, honest: Forward, ...[nowMs, source, circuit, header, pieces]: Parameters<Forward>): void {
    const { dice, coverage } = this.#world
    const kept = header.kind < PACKET_KIND.loose ? 'kept' : 'loose'
    let sent = pieces
    if (dice.chance(meddling.flip)) {
      coverage.hit(`relay flips a bit of a ${kept} packet`)
      sent = [flipped(pieces, dice.next)]
    }
    if (dice.chance(meddling.duplicate)) {
      coverage.hit(`relay doubles ${kept} packet`)
      this.#later(honest, nowMs, source, circuit, header, sent)
    }
    if (dice.chance(meddling.reorder)) {
      coverage.hit(`relay reorders ${kept} packet`)
      this.#later(honest, nowMs, source, circuit, header, sent)
    } else {
      honest(nowMs, source, circuit, header, sent)
    }
  }

  #later(honest: Forward, ...[nowMs, source, circuit, header, pieces]: Parameters<Forward>): void {
    const delayMs = this.#world.dice.between(0, reorderMsMax)
    this.#world.after(delayMs, () => {
      honest(nowMs + delayMs, source, circuit, header, pieces)
      this.#touch()
    })
  }
}

/** A copy with one bit changed: the pieces themselves belong to the sender. */
function flipped(pieces: readonly Uint8Array[], random: () => number): Uint8Array {
  const bytes = concat([...pieces, emptyBytes])
  if (bytes.length > 0) {
    const at = Math.floor(random() * bytes.length)
    bytes[at] = bytes[at]! ^ (1 << Math.floor(random() * 8))
  }
  return bytes
}
