/** Datagrams: bytes that are worth something now or never. They go once, as the mode sends, or not at all. */
import { datagramBytesMax, encodeFrames, PACKET_KIND, type PacketSealer, SennitError, totalBytes } from '@sennit/protocol'
import type { Route } from '../paths/route.ts'
import type { Epochs } from './epochs.ts'
import type { PacketBuilder } from './packet-builder.ts'
import type { Path } from './path.ts'
import type { PathWatch } from './path-watch.ts'
import type { Sender } from './sender.ts'

/** Seal and frame head of a datagram. */
const overheadBytes = 24
/** Nobody acknowledges datagrams, so while they flow a ping asks this often whether the path lives: its silence starts the usual probes. */
const askEveryMs = 250

export interface DatagramNeeds {
  readonly sealer: PacketSealer
  readonly epochs: Epochs
  readonly route: Route
  readonly watch: PathWatch
  readonly sender: Sender
  readonly builder: PacketBuilder
}

export class Datagrams {
  sent = 0
  dropped = 0
  readonly #needs: DatagramNeeds
  #nextCounter = 0

  constructor(needs: DatagramNeeds) {
    this.#needs = needs
  }

  /** Where a datagram of this size would go now: relays that have credit for it, and do not say "please wait". */
  ways(bytes: number): readonly Path[] {
    return this.#needs.route.ways(bytes + overheadBytes)
  }

  /** @returns false when it was dropped. @throws SennitError `too_large` */
  send(nowMs: number, data: Uint8Array): boolean {
    const ways = this.ways(data.length)
    if (data.length > datagramBytesMax) {
      throw new SennitError(
        'too_large',
        `expected a datagram of at most ${datagramBytesMax} bytes, found ${data.length}: send it as a message`,
        {
          max: datagramBytesMax,
          found: data.length,
        },
      )
    }
    if (ways.length === 0) {
      this.dropped += 1
      return false
    }
    const { sealer, epochs, route, watch, sender, builder } = this.#needs
    sender.rekey(nowMs)
    // An epoch ends only when something of it was acked, and nobody acks datagrams.
    if (epochs.due(nowMs) && sender.idle) builder.queue({ type: 'nothing' })
    const header = { form: 0, kind: PACKET_KIND.datagram, epoch: sealer.sendEpoch, counter: this.#nextCounter }
    this.#nextCounter += 1
    const pieces = sealer.seal(header, encodeFrames([{ type: 'datagram', data }]))
    const bytes = totalBytes(pieces)
    epochs.onSealed(bytes)
    route.sendDatagram(ways, header, pieces, bytes)
    this.sent += 1
    for (const path of ways) if (path.pings.size === 0 && nowMs >= path.provedAtMs + askEveryMs) watch.ping(nowMs, path)
    return true
  }
}
