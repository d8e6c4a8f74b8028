/**
 * The carrier seam: one attachment's bytes, in order and whole, both ways, over whatever the network lets through.
 * A carrier knows nothing of hop records; it opens with the first handshake bytes inside its first request.
 */

import type { ProxySettings } from './proxy.ts'

/** The carriers this shell can dial, best first: `upgrade` is the fastest, `http` the most forgiving, `grpc` for HTTP/2-only networks. */
export const carrierNames = ['upgrade', 'http', 'grpc'] as const
export type CarrierName = (typeof carrierNames)[number]

/** What a carrier tells its owner. After `onClose` nothing more comes. */
export interface CarrierEvents {
  /** A dial that waited for its turn begins. */
  onBegin?(): void
  /** The relay accepted the first request: bytes flow both ways from now on. */
  onOpen(): void
  /** Bytes from the relay. The chunk is only lent: when this returns the carrier may read into its memory again. */
  onBytes(chunk: Uint8Array): void
  /** `write` returned false before; it takes more now. */
  onDrain(): void
  /** The end, once, unless the owner closed first. `code` is one of {@link carrierCodes}. */
  onClose(code: string, message: string): void
}

/** One dialled carrier. */
export interface Carrier {
  /** The dial has not begun: the process has others to that relay under way. `onBegin` says when it does. */
  readonly waits?: boolean
  /**
   * Sends pieces in order, without copying them where the carrier can. Never throws; after the end it does nothing.
   * @returns false when the owner should send no more until `onDrain`. The pieces are taken all the same.
   */
  write(pieces: readonly Uint8Array[]): boolean
  /** Ends it without telling `onClose`. What was written before still leaves, for at most {@link lingerMs}; a dial is given up at once. */
  close(): void
}

/** TLS settings of `https:` relay URLs. The relay proves itself inside the hop handshake too, so TLS is for the network's sake. */
export interface TlsSettings {
  /** Certificate authorities to trust instead of the system's, PEM. */
  readonly ca?: string | Uint8Array
  /** The name asked for and checked, instead of the URL's host. */
  readonly servername?: string
  /** Accept any TLS certificate. @default false */
  readonly insecure?: boolean
}

/** Everything one dial needs. */
export interface DialRequest {
  /** `http://host:port` or `https://host:port` of the relay. */
  readonly url: string
  readonly carrier: string
  /** The first hop handshake bytes, the same each time; they ride in the carrier's first request and are made when that is sent. */
  readonly first: () => Uint8Array
  readonly proxy: ProxySettings
  /** Dial from this address of ours, to the relay or to the proxy. @default as the system chooses */
  readonly localAddress?: string
  readonly tls?: TlsSettings
  readonly deadlines: DialDeadlines
}

/** Time limits of one dial, in milliseconds. */
export interface DialDeadlines {
  /** From asking for the name to having an address. */
  readonly resolveMs: number
  /** For each following step by itself, all of them about one round trip: connect, the proxy's answer, TLS, the relay's answer. */
  readonly stepMs: number
}

/** 3 s to resolve (a resolver's own retry comes after 2 s), 1.5 s a step (twice the longest round trip we mean to serve, 750 ms). */
export const dialDeadlines: DialDeadlines = { resolveMs: 3_000, stepMs: 1_500 }

/** The ends a carrier can tell. */
export const carrierCodes: Readonly<Record<string, string>> = {
  dial_timeout: 'a step of the dial took too long',
  dial_failed: 'no connection to the relay: the name is unknown, nothing listens, or the network refused',
  dial_refused: 'the relay, or something in its place, answered with an HTTP error; the message has its code',
  tls_failed: 'TLS with the relay failed, mostly because its certificate is not trusted',
  proxy_failed: 'the outbound proxy cannot be reached or does not speak HTTP',
  proxy_refused: 'the outbound proxy refuses this destination or wants other credentials',
  carrier_unknown: 'this program has no carrier of that name',
  carrier_buffered: 'something on the way holds request bodies back; the next dial uses numbered POSTs',
  carrier_lost: 'the carrier broke after it was open',
  carrier_ended: 'the relay ended the carrier in order',
}

/** How long a closed carrier tries to get rid of what was written: a relay that takes nothing for a second will not take it later. */
export const lingerMs = 1_000

/** Bytes a carrier queues before `write` returns false: one full hop record, so that the next is built while this one leaves. */
export const carrierQueueBytes: number = 256 * 1024
