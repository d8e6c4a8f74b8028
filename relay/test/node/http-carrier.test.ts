/** What the `http` carrier promises beyond carrying bytes: numbered POSTs in any order, responses that continue, and clear errors. */

import { request } from 'node:http'
import { HopLink, type UserIdentity } from '@sennit/protocol'
import { nodeCrypto, readCredential } from '@sennit/protocol/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LiveMesh, liveMesh } from './live.ts'

interface Answer {
  readonly status: number
  readonly body: Buffer
  readonly session: string
}

let mesh: LiveMesh
let identity: UserIdentity
beforeAll(async () => {
  mesh = await liveMesh()
  identity = await mesh.identity('alice')
})
afterAll(() => mesh.end())

const ask = (method: string, path: string, body?: Uint8Array): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'Content-Length': body.length }
    const asked = request(`${mesh.relay.url}/sennit/v1/http${path}`, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks), session: String(response.headers['sennit-session']) }),
      )
    })
    asked.on('error', reject)
    asked.end(body)
  })

function newLink(): HopLink {
  const { trust } = readCredential(`${mesh.dir}/users/alice.cred`)
  return new HopLink({
    role: 'initiator',
    crypto: nodeCrypto(),
    random: Math.random,
    meshId: trust.meshId,
    carrier: 'http',
    software: 'test/1',
    trust,
    relayId: 'r1',
    identity,
    label: '',
    instance: nodeCrypto().randomBytes(16),
  })
}

/** What a link wants written, in one piece; tells whether it is established. */
function drain(link: HopLink): { bytes: Buffer; established: boolean } {
  const pieces: Uint8Array[] = []
  let established = false
  for (let effect = link.poll(); effect !== undefined; effect = link.poll()) {
    if (effect.type === 'write') pieces.push(...effect.pieces)
    if (effect.type === 'established') established = true
  }
  return { bytes: Buffer.concat(pieces), established }
}

/** An attached session in short-poll mode; `received` is its position on the way down. */
async function attached(): Promise<{ id: string; link: HopLink; received: number; up: number }> {
  const link = newLink()
  const begun = await ask('POST', '?wait=2000', link.first(Date.now()))
  expect(begun.status).toBe(200)
  link.receive(Date.now(), begun.body)
  const third = drain(link)
  // Cut in three, sent in the wrong order, one of them twice: only the order of numbers counts.
  const cut = [third.bytes.subarray(0, 10), third.bytes.subarray(10, 20), third.bytes.subarray(20)]
  const id = begun.session
  for (const number of [2, 1, 1, 0, 0, 2]) expect((await ask('POST', `/${id}/up/${number}`, cut[number])).status).toBe(204)
  const answer = await ask('GET', `/${id}/down?from=${begun.body.length}&wait=2000`)
  expect(answer.status).toBe(200)
  link.receive(Date.now(), answer.body)
  const fourth = drain(link)
  expect(fourth.established).toBe(true)
  await ask('POST', `/${id}/up/3`, fourth.bytes)
  return { id, link, received: begun.body.length + answer.body.length, up: 4 }
}

describe('numbered POSTs', () => {
  it('are put in order, and a repeat gets the same answer and no second delivery', async () => {
    const { link } = await attached()
    link.close('done')
  })

  it('refuse a body that is too large, a number that is far ahead, and too much that waits', async () => {
    const { id, up } = await attached()
    expect((await ask('POST', `/${id}/up/${up}`, new Uint8Array(256 * 1024 + 1))).status).toBe(413)
    expect(JSON.parse((await ask('POST', `/${id}/up/${up + 40}`, new Uint8Array(1))).body.toString())).toMatchObject({ code: 'up_too_far' })
    const statuses: number[] = []
    for (let ahead = 1; ahead <= 9; ahead += 1)
      statuses.push((await ask('POST', `/${id}/up/${up + ahead}`, new Uint8Array(256 * 1024))).status)
    expect(statuses).toEqual([204, 204, 204, 204, 204, 204, 204, 204, 413])
  })

  it('exclude a streaming POST', async () => {
    const { id } = await attached()
    expect((await ask('POST', `/${id}/up`, new Uint8Array(1))).status).toBe(409)
  })
})

describe('the way down', () => {
  it('continues at the byte the client names, and gives sent bytes again', async () => {
    const { id, link, received, up } = await attached()
    link.sendControl({ type: 'listen', listenId: 1, application: 'x', from: '*' })
    await ask('POST', `/${id}/up/${up}`, drain(link).bytes)
    const once = await ask('GET', `/${id}/down?from=${received}&wait=2000`)
    const again = await ask('GET', `/${id}/down?from=${received}&wait=2000`)
    expect(once.body.length).toBeGreaterThan(0)
    expect(again.body.subarray(0, once.body.length).equals(once.body)).toBe(true)
    const rest = await ask('GET', `/${id}/down?from=${received + again.body.length}&wait=0`)
    expect([200, 204]).toContain(rest.status)
  })

  it('answers 204 when nothing comes in time', async () => {
    const { id, received } = await attached()
    // Whatever the relay still had to say comes first.
    let at = received
    let answer = await ask('GET', `/${id}/down?from=${at}&wait=20`)
    while (answer.status === 200) {
      at += answer.body.length
      answer = await ask('GET', `/${id}/down?from=${at}&wait=20`)
    }
    expect(answer.status).toBe(204)
  })

  it('is refused at a position that never was', async () => {
    const { id } = await attached()
    const answer = await ask('GET', `/${id}/down?from=1000000&wait=0`)
    expect([answer.status, JSON.parse(answer.body.toString()).code]).toEqual([410, 'session_ended'])
  })

  it('is refused while a response streams', async () => {
    const link = newLink()
    const id = await new Promise<string>((resolve, reject) => {
      const first = link.first(Date.now())
      const asked = request(
        `${mesh.relay.url}/sennit/v1/http`,
        { method: 'POST', headers: { 'Content-Length': first.length }, agent: false },
        (response) => {
          response.resume()
          resolve(String(response.headers['sennit-session']))
        },
      )
      asked.on('error', reject)
      asked.end(first)
    })
    const answer = await ask('GET', `/${id}/down?from=0`)
    expect([answer.status, JSON.parse(answer.body.toString()).code]).toEqual([409, 'session_in_use'])
  })
})

describe('sessions', () => {
  it.each([
    { why: 'never was', path: `/${'ab'.repeat(16)}/down?from=0`, status: 404, code: 'session_unknown' },
    { why: 'is not one', path: '/abc/down?from=0', status: 404, code: 'not_found' },
  ])('answer $code for one that $why', async ({ path, status, code }) => {
    const answer = await ask('GET', path)
    expect([answer.status, JSON.parse(answer.body.toString()).code]).toEqual([status, code])
  })

  it('answer session_ended for one that has ended', async () => {
    const { id, link, received, up } = await attached()
    link.close('done')
    await ask('POST', `/${id}/up/${up}`, drain(link).bytes)
    let answer = await ask('GET', `/${id}/down?from=${received}&wait=100`)
    // The end of the session is known when the turn that brought it is over.
    if (answer.status !== 410) answer = await ask('GET', `/${id}/down?from=${received}&wait=100`)
    expect([answer.status, JSON.parse(answer.body.toString()).code]).toEqual([410, 'session_ended'])
  })
})
