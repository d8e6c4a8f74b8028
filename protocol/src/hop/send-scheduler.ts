/**
 * What goes into the next record: control first, then loose packets, datagrams, kept ones; circuits take turns by deficit round robin
 * (Shreedhar and Varghese, 1995), so that one with a long queue holds up no other.
 */

import { controlBytesMax } from '../control/codec.ts'
import { Deque } from '../deque.ts'
import { isKept, PACKET_KIND, packetBytesMax } from '../packet.ts'
import { entryHeaderBytes, type OutgoingPacket, recordEntriesMax, recordOverheadBytes } from './record.ts'

/** A turn sends at least one packet of any size, which keeps a turn at constant cost. */
const quantumBytes: number = packetBytesMax + entryHeaderBytes

/** While kept packets wait, what overtakes them takes at most half the entries and a quarter of the bytes, so that it cannot starve them. */
const overtakingEntriesMax: number = recordEntriesMax / 2
const overtakingShare = 4

/** Circuits that are idle are remembered up to this many, so that a quiet one need not be made anew for each packet. */
const idleCircuitsMax = 256

/** The queue of control messages is compacted when this many were taken from its front. */
const compactAt = 64

/** One circuit's packets of one class, first in, first out. */
class PacketQueue {
  bytes = 0
  deficit = 0
  waiting = false
  readonly circuit: number
  readonly #packets = new Deque<OutgoingPacket>()

  constructor(circuit: number) {
    this.circuit = circuit
  }

  get first(): OutgoingPacket | undefined {
    return this.#packets.first()
  }

  push(packet: OutgoingPacket): void {
    this.#packets.push(packet)
    this.bytes += packet.bytes
  }

  shift(): void {
    this.bytes -= this.#packets.shift()!.bytes
  }

  clear(): void {
    this.#packets.clear()
    this.bytes = 0
    this.deficit = 0
  }
}

/** Queues that have something, in the order of their turns. */
class Ring {
  queues: PacketQueue[] = []
  bytes = 0

  push(queue: PacketQueue, packet: OutgoingPacket): void {
    queue.push(packet)
    this.bytes += packet.bytes
    if (queue.waiting) return
    queue.waiting = true
    this.queues.push(queue)
  }

  /** Moves packets into `record` while there is room for `entries` and `bytes` of them. Returns what is left of the room. */
  take(record: OutgoingPacket[], entries: number, bytes: number): number {
    let entriesLeft = entries
    let bytesLeft = bytes
    while (entriesLeft > 0) {
      const queue = this.queues[0]
      if (queue === undefined) break
      let packet = queue.first
      if (packet !== undefined && queue.deficit < packet.bytes + entryHeaderBytes) queue.deficit += quantumBytes
      while (packet !== undefined && entriesLeft > 0 && queue.deficit >= packet.bytes + entryHeaderBytes) {
        const cost = packet.bytes + entryHeaderBytes
        // The record is full: the queue keeps its turn and what it may still send in it.
        if (cost > bytesLeft) return bytesLeft
        queue.shift()
        this.bytes -= packet.bytes
        queue.deficit -= cost
        bytesLeft -= cost
        entriesLeft -= 1
        record.push(packet)
        packet = queue.first
      }
      if (packet !== undefined && entriesLeft === 0 && queue.deficit >= packet.bytes + entryHeaderBytes) break
      this.queues.shift()
      if (packet === undefined) {
        queue.deficit = 0
        queue.waiting = false
      } else this.queues.push(queue)
    }
    return bytesLeft
  }

  drop(queue: PacketQueue): void {
    this.bytes -= queue.bytes
    queue.clear()
    if (queue.waiting) this.queues = this.queues.filter((other) => other !== queue)
    queue.waiting = false
  }
}

const noControls: readonly Uint8Array[] = []

interface Circuit {
  readonly loose: PacketQueue
  /** Apart from the loose ones, so that acks and pings never wait behind somebody's video. */
  datagrams: PacketQueue | undefined
  readonly kept: PacketQueue
}

/** The content of one record. */
export interface RecordContent {
  readonly controls: readonly Uint8Array[]
  readonly packets: OutgoingPacket[]
}

export class SendScheduler {
  readonly #recordBytesMax: number
  readonly #circuits = new Map<number, Circuit>()
  readonly #loose = new Ring()
  readonly #datagrams = new Ring()
  readonly #kept = new Ring()
  #controls: Uint8Array[] = []
  #controlHead = 0
  #controlBytes = 0

  constructor(recordBytesMax: number) {
    this.#recordBytesMax = recordBytesMax
  }

  /** Encoded control messages waiting, in bytes. */
  get controlBytes(): number {
    return this.#controlBytes
  }

  get hasWork(): boolean {
    return this.#controlBytes > 0 || this.#kept.bytes > 0 || this.#loose.bytes > 0 || this.#datagrams.bytes > 0
  }

  addControl(encoded: Uint8Array): void {
    this.#controls.push(encoded)
    this.#controlBytes += encoded.length
  }

  /** Before all other control: the welcome. */
  addControlFirst(encoded: Uint8Array): void {
    this.#controls.splice(this.#controlHead, 0, encoded)
    this.#controlBytes += encoded.length
  }

  addPacket(packet: OutgoingPacket): void {
    const { circuit, header } = packet
    let queues = this.#circuits.get(circuit)
    if (queues === undefined) {
      queues = { loose: new PacketQueue(circuit), datagrams: undefined, kept: new PacketQueue(circuit) }
      this.#circuits.set(circuit, queues)
    }
    if (isKept(header.kind)) this.#kept.push(queues.kept, packet)
    else if (header.kind === PACKET_KIND.datagram) {
      queues.datagrams ??= new PacketQueue(circuit)
      this.#datagrams.push(queues.datagrams, packet)
    } else this.#loose.push(queues.loose, packet)
  }

  /** Payload bytes waiting, of one circuit or of all. */
  queuedBytes(circuit?: number): number {
    if (circuit === undefined) return this.#loose.bytes + this.#datagrams.bytes + this.#kept.bytes
    const queues = this.#circuits.get(circuit)
    return queues === undefined ? 0 : queues.loose.bytes + (queues.datagrams?.bytes ?? 0) + queues.kept.bytes
  }

  /** Bytes of datagrams waiting on one circuit. */
  queuedDatagramBytes(circuit: number): number {
    return this.#circuits.get(circuit)?.datagrams?.bytes ?? 0
  }

  /** Forgets a circuit and what waits on it. */
  dropCircuit(circuit: number): void {
    const queues = this.#circuits.get(circuit)
    if (queues === undefined) return
    this.#loose.drop(queues.loose)
    if (queues.datagrams !== undefined) this.#datagrams.drop(queues.datagrams)
    this.#kept.drop(queues.kept)
    this.#circuits.delete(circuit)
  }

  /** Forgets everything. */
  clear(): void {
    for (const circuit of [...this.#circuits.keys()]) this.dropCircuit(circuit)
    this.#controls = []
    this.#controlHead = 0
    this.#controlBytes = 0
  }

  /** What the next record carries, or undefined when nothing waits. */
  take(): RecordContent | undefined {
    if (!this.hasWork) return undefined
    const packets: OutgoingPacket[] = []
    const controls = this.#takeControls()
    let room = this.#recordBytesMax - recordOverheadBytes
    for (const control of controls) room -= entryHeaderBytes + control.length
    const entries = recordEntriesMax - controls.length
    if (this.#kept.bytes === 0) {
      room = this.#loose.take(packets, entries, room)
      this.#datagrams.take(packets, entries - packets.length, room)
    } else {
      const overtaking = Math.max(Math.floor(room / overtakingShare), Math.min(room, quantumBytes))
      const overtakingEntries = Math.min(entries, overtakingEntriesMax)
      const left = this.#loose.take(packets, overtakingEntries, overtaking)
      room -= overtaking - this.#datagrams.take(packets, overtakingEntries - packets.length, left)
      this.#kept.take(packets, entries - packets.length, room)
    }
    if (this.#circuits.size > idleCircuitsMax) this.#forgetIdle(packets)
    return { controls, packets }
  }

  #takeControls(): readonly Uint8Array[] {
    if (this.#controls.length === 0) return noControls
    const taken: Uint8Array[] = []
    const entries = this.queuedBytes() > 0 ? overtakingEntriesMax : recordEntriesMax
    let bytes = 0
    while (taken.length < entries) {
      const control = this.#controls[this.#controlHead]
      if (control === undefined || bytes + control.length > controlBytesMax) break
      this.#controlHead += 1
      bytes += control.length
      taken.push(control)
    }
    this.#controlBytes -= bytes
    if (this.#controlHead === this.#controls.length || this.#controlHead >= compactAt) {
      this.#controls = this.#controls.slice(this.#controlHead)
      this.#controlHead = 0
    }
    return taken
  }

  #forgetIdle(packets: readonly OutgoingPacket[]): void {
    for (const { circuit } of packets) {
      const queues = this.#circuits.get(circuit)
      const waits = queues?.loose.waiting || queues?.datagrams?.waiting || queues?.kept.waiting
      if (queues !== undefined && !waits) this.#circuits.delete(circuit)
    }
  }
}
