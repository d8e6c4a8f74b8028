// An agent that never stops talking is given up, whatever it is asked.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConsulAgent } from '../src/node/index.ts'

describe('a Consul agent that fails now and then', () => {
  it('is watched on, and the first answer after a failure says so', async () => {
    let asked = 0
    const server = createServer((_request, answer) => {
      asked += 1
      const body = asked === 3 ? '' : '[]'
      answer.writeHead(asked === 3 ? 500 : 200, { 'content-type': 'application/json', 'x-consul-index': String(asked) })
      answer.end(body)
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as AddressInfo
    const agent = await ConsulAgent.load({ host: '127.0.0.1', port, secure: false, service: 'sennit-relay' }, 'mesh')
    try {
      const gaps = await new Promise<boolean[]>((tell) => {
        const seen: boolean[] = []
        const stop = agent.watchRelays({
          news: (_relays, afterGap) => {
            seen.push(afterGap)
            if (seen.length < 4) return
            stop()
            tell(seen)
          },
          trouble: () => {},
        })
      })
      expect(gaps).toEqual([true, false, true, false])
    } finally {
      agent.close()
      server.closeAllConnections()
      server.close()
    }
  })
})

describe('a Consul agent without an end', () => {
  let server: Server
  let sent = 0
  let agent: ConsulAgent
  beforeAll(async () => {
    const block = Buffer.alloc(2 ** 20, ' ')
    server = createServer((_request, answer) => {
      answer.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '1' })
      const more = (): void => {
        while (!answer.destroyed) {
          sent += block.length
          if (!answer.write(block)) return
        }
      }
      answer.on('drain', more)
      answer.on('error', () => {})
      more()
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as AddressInfo
    agent = await ConsulAgent.load({ host: '127.0.0.1', port, secure: false, service: 'sennit-relay' }, 'mesh')
  })
  afterAll(() => {
    agent.close()
    server.closeAllConnections()
    server.close()
  })

  it('is refused when it is asked', async () => {
    await expect(agent.relays()).rejects.toMatchObject({
      code: 'consul_failed',
      message: expect.stringContaining('at most 16777216 bytes'),
    })
    // What is under way when it is cut off comes on top.
    expect(sent).toBeLessThan(64 * 2 ** 20)
  })

  it('is told of while it is watched, and the watch goes on', async () => {
    const told = await new Promise<string>((tell) => {
      const stop = agent.watchRelays({
        news: () => {},
        trouble: ({ message }) => {
          stop()
          tell(message)
        },
      })
    })
    expect(told).toMatch(/at most 16777216 bytes/)
  })
})
