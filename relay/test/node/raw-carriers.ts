/** Client sides of the three carriers, as small as they can be: what the relay promises on the wire, with nothing of the real client. */

import http from 'node:http'
import net from 'node:net'
import tls from 'node:tls'
import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js'
import { base64url, concat } from '@sennit/protocol'

export interface RawPipe {
  write(bytes: Uint8Array): void
  close(): void
}

export interface PipeEvents {
  bytes(chunk: Uint8Array): void
  closed(why: string): void
}

export type Dial = (url: string, first: Uint8Array, events: PipeEvents) => RawPipe

const once = (events: PipeEvents): PipeEvents => {
  let closed = false
  return {
    bytes: (chunk) => {
      if (!closed) events.bytes(chunk)
    },
    closed: (why) => {
      if (!closed) events.closed(why)
      closed = true
    },
  }
}

/** `GET /sennit/v1` with `Upgrade: sennit/1`, then raw bytes. */
export const dialUpgrade: Dial = (url, first, given) => {
  const events = once(given)
  const { hostname, port, protocol } = new URL(url)
  const socket =
    protocol === 'https:'
      ? tls.connect({ host: hostname, port: Number(port), rejectUnauthorized: false })
      : net.connect(Number(port), hostname)
  socket.write(
    `GET /sennit/v1 HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: sennit/1\r\nSennit-First: ${base64url(first)}\r\n\r\n`,
  )
  let head: Buffer | undefined = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    if (head === undefined) return events.bytes(chunk)
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    const text = head.subarray(0, end).toString('latin1')
    const rest = head.subarray(end + 4)
    head = undefined
    if (!text.startsWith('HTTP/1.1 101')) return events.closed(text.split('\r\n')[0]!)
    if (rest.length > 0) events.bytes(rest)
  })
  socket.on('error', (error) => events.closed(error.message))
  socket.on('close', () => events.closed('closed'))
  return { write: (bytes) => void socket.write(bytes), close: () => void socket.destroy() }
}

/** One POST whose response is the way down, one streaming POST as the way up. */
export const dialHttpStream: Dial = (url, first, given) => {
  const events = once(given)
  const early: Uint8Array[] = []
  let up: http.ClientRequest | undefined
  const agent = new http.Agent({ keepAlive: true })
  let received = 0
  let session = ''
  const read = (response: http.IncomingMessage): void => {
    response.on('data', (chunk: Buffer) => {
      received += chunk.length
      events.bytes(chunk)
    })
    response.on('end', () => {
      if (response.statusCode !== 200) return
      http
        .get(`${url}/sennit/v1/http/${session}/down?from=${received}`, { agent }, next)
        .on('error', (error) => events.closed(error.message))
    })
    response.on('error', () => events.closed('down'))
  }
  const next = (response: http.IncomingMessage): void => {
    if (response.statusCode === 200) {
      read(response)
      return
    }
    response.resume()
    events.closed(`HTTP ${response.statusCode}`)
  }
  const post = http.request(`${url}/sennit/v1/http`, { method: 'POST', agent, headers: { 'Content-Length': first.length } }, (response) => {
    if (response.statusCode !== 200) return next(response)
    session = String(response.headers['sennit-session'])
    up = http.request(`${url}/sennit/v1/http/${session}/up`, { method: 'POST', agent })
    up.on('error', () => events.closed('up'))
    up.on('response', (answer) => answer.resume())
    up.flushHeaders()
    for (const bytes of early.splice(0)) up.write(bytes)
    read(response)
  })
  post.on('error', (error) => events.closed(error.message))
  post.end(first)
  return {
    write: (bytes) => void (up === undefined ? early.push(bytes) : up.write(bytes)),
    close: () => {
      up?.destroy()
      post.destroy()
      agent.destroy()
    },
  }
}

/** Short polls down, numbered POSTs up, each on whatever socket the agent has: what is left when a proxy buffers everything. */
export const dialHttpPolls: Dial = (url, first, given) => {
  const events = once(given)
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 })
  let session = ''
  let received = 0
  let number = 0
  let ended = false
  let queue: Uint8Array[] = []
  const request = (
    method: string,
    path: string,
    body: Uint8Array | undefined,
    done: (status: number, body: Buffer, headers: http.IncomingHttpHeaders) => void,
  ): void => {
    const asked = http.request(
      `${url}/sennit/v1/http${path}`,
      { method, agent, headers: body === undefined ? {} : { 'Content-Length': body.length } },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => done(response.statusCode ?? 0, Buffer.concat(chunks), response.headers))
      },
    )
    asked.on('error', (error) => events.closed(error.message))
    asked.end(body)
  }
  const poll = (): void => {
    if (ended) return
    request('GET', `/${session}/down?from=${received}&wait=5000`, undefined, (status, body) => {
      if (status !== 200 && status !== 204) return events.closed(`HTTP ${status}`)
      received += body.length
      if (body.length > 0) events.bytes(body)
      poll()
    })
  }
  const post = (): void => {
    if (session === '' || queue.length === 0) return
    const body = concat(queue)
    queue = []
    for (let at = 0; at < body.length; at += 200_000) {
      request('POST', `/${session}/up/${number}`, body.subarray(at, at + 200_000), (status) => {
        if (status !== 204) events.closed(`HTTP ${status}`)
      })
      number += 1
    }
  }
  request('POST', '?wait=1000', first, (status, body, headers) => {
    if (status !== 200) return events.closed(`HTTP ${status}`)
    session = String(headers['sennit-session'])
    received += body.length
    if (body.length > 0) events.bytes(body)
    post()
    poll()
  })
  return {
    write: (bytes) => {
      queue.push(bytes)
      if (queue.length === 1) setImmediate(post)
    },
    close: () => {
      ended = true
      agent.destroy()
    },
  }
}

/** `sennit.v1.Relay/Attach`. */
export const dialGrpc: Dial = (url, first, given) => {
  const events = once(given)
  const { host, protocol } = new URL(url)
  const client = new Client(
    host,
    protocol === 'https:'
      ? credentials.createSsl(null, null, null, { checkServerIdentity: () => undefined, rejectUnauthorized: false })
      : credentials.createInsecure(),
    {
      'grpc-node.max_session_memory': 1024,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
    },
  )
  const call: ClientDuplexStream<Uint8Array, Uint8Array> = client.makeBidiStreamRequest(
    '/sennit.v1.Relay/Attach',
    (bytes: Uint8Array) => Buffer.from(encodeData(bytes)),
    decodeData,
  )
  call.on('data', (bytes: Uint8Array) => events.bytes(bytes))
  call.on('error', (error: Error) => events.closed(error.message))
  call.on('end', () => {
    events.closed('end')
    client.close()
  })
  call.write(first)
  return {
    write: (bytes) => void call.write(bytes),
    close: () => {
      call.cancel()
      client.close()
    },
  }
}

function encodeData(bytes: Uint8Array): Uint8Array {
  const length: number[] = []
  let rest = bytes.length
  while (rest >= 0x80) {
    length.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  return concat([Uint8Array.from([0x0a, ...length, rest]), bytes])
}

function decodeData(message: Buffer): Uint8Array {
  if (message.length === 0) return message
  let at = 1
  while (message[at]! >= 0x80) at += 1
  return message.subarray(at + 1)
}
