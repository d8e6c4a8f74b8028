/** The admin port: `/healthz` (the process turns), `/readyz` (it takes clients), `/metrics`. Plain HTTP; bind it to loopback or a private network. */

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import type { ListenAddress } from './config.ts'

export interface AdminAnswers {
  readonly metrics: Registry
  /** Undefined when ready, else why not. */
  notReady(): string | undefined
}

export class AdminServer {
  private readonly server: Server

  constructor(answers: AdminAnswers) {
    this.server = createServer((request, response) => {
      const send = (status: number, type: string, body: string): void => {
        response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' })
        response.end(request.method === 'HEAD' ? undefined : body)
      }
      if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'text/plain', 'only GET\n')
      const path = (request.url ?? '/').split('?', 1)[0]
      if (path === '/healthz') return send(200, 'text/plain', 'ok\n')
      if (path === '/readyz') {
        const why = answers.notReady()
        return why === undefined ? send(200, 'text/plain', 'ready\n') : send(503, 'text/plain', `${why}\n`)
      }
      if (path === '/metrics') {
        answers.metrics.metrics().then(
          (text) => send(200, answers.metrics.contentType, text),
          (error: Error) => send(500, 'text/plain', `${error.message}\n`),
        )
        return
      }
      send(404, 'text/plain', 'expected /healthz, /readyz or /metrics\n')
    })
  }

  listen(address: ListenAddress): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(address.port, address.host, () => resolve((this.server.address() as AddressInfo).port))
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve())
      this.server.closeAllConnections()
    })
  }
}
