/**
 * Carrier `grpc`: one bidirectional stream of `sennit.v1.Relay/Attach`, over h2c or TLS.
 * The slowest of the three (each message is framed, copied and flow-controlled twice), for networks that pass HTTP/2 only.
 */

import net from 'node:net'
import {
  type ClientDuplexStream,
  credentials,
  Client as GrpcClient,
  logVerbosity,
  Metadata,
  type ServiceError,
  setLogVerbosity,
} from '@grpc/grpc-js'
import { SennitError } from '@sennit/protocol'
import { type Carrier, type CarrierEvents, carrierQueueBytes, type DialRequest, lingerMs } from './carrier.ts'
import { fromAddress } from './grpc-from-address.ts'
import { proxyFor } from './proxy.ts'

/** HTTP/2 windows of both levels. The 64 KiB default caps a stream at 0.63 MB/s on a 100 ms link; this is 1 Gbit/s at 100 ms, rounded up. */
const windowBytes = 16 * 1024 * 1024

/** Larger writes are cut, so that no message needs a buffer of more than this on either side. */
const chunkBytesMax = 256 * 1024

// It prints failed dials to stderr, process-wide; they come as `onClose` here, and a client that survives them should be quiet.
if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE)

export function dialGrpc(request: DialRequest, events: CarrierEvents): Carrier {
  return new GrpcCarrier(request, events)
}

class GrpcCarrier implements Carrier {
  readonly #events: CarrierEvents
  #state: 'dialling' | 'open' | 'closed' = 'dialling'
  #client: GrpcClient | undefined
  #call: ClientDuplexStream<Uint8Array[], Uint8Array> | undefined
  #timer: NodeJS.Timeout | undefined
  #queuedBytes = 0
  #blocked = false

  constructor(request: DialRequest, events: CarrierEvents) {
    this.#events = events
    // Not in the constructor's own turn: the owner must hold the carrier before it can hear that it failed.
    queueMicrotask(() => {
      if (this.#state === 'closed') return
      try {
        this.#open(request)
      } catch (error) {
        const told = error instanceof SennitError ? error : undefined
        this.#fail(told?.code ?? 'dial_failed', told?.message ?? String(error))
      }
    })
  }

  write(pieces: readonly Uint8Array[]): boolean {
    const call = this.#call
    if (this.#state !== 'open' || call === undefined) return true
    for (const chunk of chunksOf(pieces)) this.#send(call, chunk)
    this.#blocked ||= this.#queuedBytes >= carrierQueueBytes
    return !this.#blocked
  }

  close(): void {
    const call = this.#call
    if (this.#state !== 'open' || call === undefined || this.#queuedBytes === 0) {
      this.#end()
      return
    }
    this.#state = 'closed'
    const timer = setTimeout(() => this.#end(), lingerMs)
    call.once('finish', () => {
      clearTimeout(timer)
      this.#end()
    })
    call.end()
  }

  #open(request: DialRequest): void {
    const url = new URL(request.url)
    const proxy = proxyFor(url, request.proxy)
    if (proxy !== undefined && proxy.kind !== 'http')
      throw new SennitError('bad_proxy', 'the carrier grpc cannot go through a SOCKS proxy; use upgrade or http')
    const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
    const { localAddress } = request
    if (localAddress !== undefined && proxy !== undefined)
      throw new SennitError('bad_proxy', 'the carrier grpc cannot reach a proxy from a chosen local address; use upgrade or http')
    const target = localAddress === undefined ? addressOf(url.hostname, port) : fromAddress(localAddress, hostOf(url), port)
    const { stepMs, resolveMs } = request.deadlines
    const client = new GrpcClient(
      proxy === undefined ? target : addressOf(proxy.host, proxy.port),
      url.protocol === 'https:' ? tlsCredentials(request) : credentials.createInsecure(),
      {
        'grpc.default_authority': url.host,
        'grpc.keepalive_time_ms': 15_000,
        'grpc.keepalive_timeout_ms': 5_000,
        'grpc.keepalive_permit_without_calls': 1,
        'grpc.enable_retries': 0,
        'grpc.enable_channelz': 0,
        'grpc.enable_http_proxy': 0,
        'grpc.service_config_disable_resolution': 1,
        'grpc.use_local_subchannel_pool': 1,
        'grpc.max_receive_message_length': -1,
        'grpc.max_send_message_length': -1,
        'grpc-node.flow_control_window': windowBytes,
        ...(request.tls?.servername === undefined ? {} : { 'grpc.ssl_target_name_override': request.tls.servername }),
        // Its own proxy support reads the environment; these two options below it make the same CONNECT where we decide.
        ...(proxy === undefined ? {} : { 'grpc.http_connect_target': target }),
        ...(proxy?.authorization === undefined ? {} : { 'grpc.http_connect_creds': loginOf(proxy.authorization) }),
      },
    )
    this.#client = client
    const call = client.makeBidiStreamRequest('/sennit.v1.Relay/Attach', encodeChunk, decodeChunk, new Metadata())
    this.#call = call
    // Name, connection, TLS and answer are one black box here, so their deadlines are added up.
    const dialMs = stepMs * 2 + (net.isIP(hostOf(url)) === 0 ? resolveMs : 0)
    this.#timer = setTimeout(() => this.#fail('dial_timeout', `${url.host} did not answer the gRPC call within ${dialMs} ms`), dialMs)
    call.on('metadata', () => this.#opened())
    call.on('data', (chunk: Uint8Array) => {
      this.#opened()
      if (this.#state === 'open' && chunk.length > 0) this.#events.onBytes(chunk)
    })
    call.on('end', () => this.#fail(this.#state === 'open' ? 'carrier_ended' : 'dial_refused', 'the relay ended the gRPC call'))
    call.on('error', (error: ServiceError) => {
      const text = plainDetails(error.code, error.details)
      this.#fail(this.#state === 'open' ? 'carrier_lost' : codeOf(error.details, proxy !== undefined), text)
    })
    this.#send(call, [request.first()])
  }

  #send(call: ClientDuplexStream<Uint8Array[], Uint8Array>, chunk: Uint8Array[]): void {
    const bytes = chunk.reduce((sum, piece) => sum + piece.length, 0)
    this.#queuedBytes += bytes
    call.write(chunk, () => {
      this.#queuedBytes -= bytes
      if (!this.#blocked || this.#queuedBytes >= carrierQueueBytes || this.#state !== 'open') return
      this.#blocked = false
      this.#events.onDrain()
    })
  }

  #opened(): void {
    if (this.#state !== 'dialling') return
    clearTimeout(this.#timer)
    this.#state = 'open'
    this.#events.onOpen()
  }

  #fail(code: string, message: string): void {
    if (this.#state === 'closed') return
    this.#end()
    this.#events.onClose(code, message)
  }

  #end(): void {
    this.#state = 'closed'
    clearTimeout(this.#timer)
    this.#call?.on('error', () => {}) // cancelling reports itself
    this.#call?.cancel()
    this.#client?.close()
  }
}

function tlsCredentials(request: DialRequest): ReturnType<typeof credentials.createSsl> {
  const { ca, insecure } = request.tls ?? {}
  const verify = insecure === true ? { rejectUnauthorized: false } : {}
  return credentials.createSsl(ca === undefined ? null : Buffer.from(ca), null, null, verify)
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

function addressOf(hostname: string, port: number): string {
  const host = hostname.replace(/^\[|\]$/g, '')
  const family = net.isIP(host)
  if (family === 4) return `ipv4:${host}:${port}`
  return family === 6 ? `ipv6:[${host}]:${port}` : `dns:${host}:${port}`
}

function loginOf(authorization: string): string {
  return Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString()
}

function codeOf(details: string, viaProxy: boolean): string {
  if (/certificate|self-signed|TLS|SSL/i.test(details)) return 'tls_failed'
  // grpc-js does not pass on what the proxy answered, so refused and unreachable are one here.
  if (viaProxy && /No connection established/i.test(details)) return 'proxy_failed'
  return /No connection established|ECONNREFUSED|resolution failed|ENOTFOUND/i.test(details) ? 'dial_failed' : 'dial_refused'
}

/** Groups pieces so that one group is one message; a piece longer than a message is cut. */
function* chunksOf(pieces: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let group: Uint8Array[] = []
  let bytes = 0
  for (const piece of pieces) {
    let rest = piece
    while (bytes + rest.length > chunkBytesMax) {
      const head = rest.subarray(0, chunkBytesMax - bytes)
      yield [...group, head]
      rest = rest.subarray(head.length)
      group = []
      bytes = 0
    }
    if (rest.length === 0) continue
    group.push(rest)
    bytes += rest.length
  }
  if (bytes > 0) yield group
}

/** `message Chunk { bytes data = 1; }`: tag 0x0a, varint length, the bytes. */
function encodeChunk(pieces: Uint8Array[]): Buffer {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  return Buffer.concat([Uint8Array.of(0x0a), protobufVarint(length), ...pieces])
}

function protobufVarint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  bytes.push(rest)
  return Uint8Array.from(bytes)
}

/** The data of a Chunk, a view. Unknown fields are skipped; a broken message ends the call. */
function decodeChunk(bytes: Buffer): Uint8Array {
  let at = 0
  let data: Uint8Array = new Uint8Array(0)
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = bytes[at]
      if (byte === undefined) break
      at += 1
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new SennitError('malformed', 'expected a protobuf varint')
  }
  while (at < bytes.length) {
    const tag = varint()
    const kind = tag & 7
    if (kind === 0) varint()
    else if (kind === 1) at += 8
    else if (kind === 5) at += 4
    else if (kind === 2) {
      const length = varint()
      if (at + length > bytes.length) throw new SennitError('malformed', 'expected a whole protobuf field')
      if (tag >> 3 === 1) data = bytes.subarray(at, at + length)
      at += length
    } else throw new SennitError('malformed', `expected a known protobuf wire type, found ${kind}`)
  }
  return data
}

/** grpc-js wraps the cause of a failed dial in three sentences of its own; people want the cause. */
function plainDetails(code: number, details: string): string {
  const cause = /Last error: (?:Error: )?(.+?)\.? Resolution note:/.exec(details)
  return cause === null ? `gRPC ${code}: ${details}` : cause[1]!
}
