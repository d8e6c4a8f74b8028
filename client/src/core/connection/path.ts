/** One path: what is known of it. No decisions here; they are in `path-watch.ts` and `path-table.ts`. */
import { Deque } from '@sennit/protocol'
import { RateEstimator } from './rate-estimator.ts'
import { RttEstimator } from './rtt-estimator.ts'
import type { Flight, KeptPacket } from './send-buffer.ts'
import { SendLimit } from './send-limit.ts'
import type { PathOpening } from './types.ts'

/** A path that does not answer, and what is known against it. */
export interface Suspicion {
  readonly sinceMs: number
  /** Another path was asked the same: by a copy of the oldest packet, or by a ping when nothing is unacked. */
  challenge: { readonly path: Path; readonly packet: KeptPacket | undefined; readonly pingId: number | undefined } | undefined
  /** The other path answered while this one was silent; from now on it may be judged. */
  judgeAtMs: number | undefined
  /** The verdict's own turn of the event loop. */
  turnAtMs: number | undefined
  /** It was judged, and is kept for want of another that could take its place. */
  kept: boolean
}

/** A relay that said "please wait". */
export interface Waiting {
  readonly sinceMs: number
  /** When it last said so. */
  saidAtMs: number
  nextTryAtMs: number
  /** The packet that tried another path. */
  tried: KeptPacket | undefined
}

export class Path {
  readonly pathId: number
  /** The link by its id, as both ends call it. */
  relayId: string
  /** Relays of one domain fail together; undefined is a domain of its own. */
  readonly failureDomain: string | undefined
  /** `opening` and `bad` carry no kept packets: the first is not validated yet, the second must be validated again. */
  state: 'opening' | 'open' | 'bad' = 'opening'
  readonly rtt: RttEstimator
  readonly rate: RateEstimator = new RateEstimator()
  readonly limit: SendLimit

  // Validation: our nonce, and the newest of the peer.
  nonce: Uint8Array
  peerNonce: Uint8Array | undefined
  hellosSent = 0
  helloSentAtMs = 0
  nextHelloAtMs: number

  // What is on the way.
  readonly flights: Deque<Flight> = new Deque()
  nextOrder = 0
  inFlightBytes = 0
  /** Orders below this arrived or are lost: the path is first-in-first-out. */
  ackedOrder = -1
  deliveredBytes = 0
  deliveredAtMs: number
  /** Deliveries up to this count were limited by the application. */
  applicationLimitedUntil = 0
  packetsSent = 0
  packetsLost = 0

  // The relay's credit for our direction.
  creditBytes: number
  sentBytes: number
  waiting: Waiting | undefined
  // The peer's direction.
  receivedBytes = 0
  /** The kept packet, or share of one, that came last. */
  arrivedNumber: number | undefined
  arrivedAtMs = 0
  /** When our newest packet arrived, by the peer's clock, as it says before an ack. */
  peerArrivedAtMs: number | undefined
  /** Since when something waits for credit that the relay does not give. */
  starvedSinceMs: number | undefined

  // Life and doubt.
  heardAtMs: number
  /** The newest proof that a round trip works, or the moment from which silence counts. */
  provedAtMs: number
  progressAtMs: number
  probes = 0
  probedAtMs = 0
  readonly pings: Map<number, number> = new Map()
  suspicion: Suspicion | undefined
  /** Probes answered while nothing sent before them was acked. */
  swallowed = 0
  /** When the last of these was sent. */
  swallowedBeforeMs = 0
  idlePingAtMs: number
  readonly forgedAtMs: number[] = []
  sampledAtMs: number = Number.NEGATIVE_INFINITY
  /** Not in the plan: closes as soon as nothing is on it. */
  retiring = false

  constructor(nowMs: number, opening: PathOpening, nonce: Uint8Array) {
    this.pathId = opening.pathId
    this.relayId = opening.relayId
    this.failureDomain = opening.failureDomain
    this.creditBytes = opening.creditBytes
    this.sentBytes = opening.sentBytes ?? 0
    this.rtt = new RttEstimator(opening.expectedRttMs)
    this.limit = new SendLimit(this.rate, this.rtt)
    this.nonce = nonce
    this.nextHelloAtMs = nowMs
    this.deliveredAtMs = nowMs
    this.heardAtMs = nowMs
    this.provedAtMs = nowMs
    this.progressAtMs = nowMs
    this.idlePingAtMs = nowMs
  }

  get open(): boolean {
    return this.state === 'open'
  }

  /** The oldest packet on the way on this path. */
  oldestFlight(): Flight | undefined {
    let flight = this.flights.first()
    while (flight !== undefined && !flight.live) {
      this.flights.shift()
      flight = this.flights.first()
    }
    return flight
  }

  /** Bytes the relay still takes, 0 while it says "please wait". */
  creditLeft(): number {
    return this.waiting === undefined ? Math.max(0, this.creditBytes - this.sentBytes) : 0
  }

  /** A round trip was measured on it. */
  measured(nowMs: number, rttMs: number): void {
    this.rtt.sample(nowMs, rttMs)
    this.limit.measured(nowMs, rttMs, this.inFlightBytes)
    // What it delivers while little may be in flight is not all that it can.
    if (this.limit.drains) this.applicationLimitedUntil = this.deliveredBytes + this.inFlightBytes
  }

  /** Most bytes that may be in flight. */
  capBytes(): number {
    return this.limit.bytes()
  }
}
