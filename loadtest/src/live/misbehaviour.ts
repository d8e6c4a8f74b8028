// What a client does that it should not: each on its own sockets or as a second program of that client's name, beside the client itself. Each gives a
// receipt of what it did and of what came back, and says so when something was accepted that had to be refused.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type ClientOptions } from '@sennit/client'
import { nodeCrypto } from '@sennit/protocol/node'
import type { FaultAct, Flow, PlanClient } from '../plan.ts'
import { fillKeystream, keystreamKey } from '../verdict/keystream.ts'
import { codeOf } from './live-session.ts'

/** The client in whose name it is done. */
export interface Culprit {
  readonly client: PlanClient
  /** Options of its own program. */
  readonly options: ClientOptions
  /** The credential of its user. */
  readonly credentialFile: string
  /** URL of the relay it likes best, through its own network. */
  readonly relayUrl: string
  readonly relayId: string
  /** A connection of it that is open now. */
  readonly flow: Flow | undefined
  /** Name of the other end of that connection, and whether the client serves there. */
  readonly peer: string
  readonly serves: boolean
}

export interface Outcome {
  readonly receipt: string
  /** Something was let in that had to be refused; '' when all is well. */
  readonly breach: string
}

/** A relay ends a handshake that does not go on after ten seconds; twice that is no lateness any more. */
const patienceMs = 20_000
/** One write of a flood. */
const floodPieceBytes = 65_536

/** Does one act in the name of one client. @throws when it could not be done at all */
export async function misbehave(act: FaultAct, culprit: Culprit): Promise<Outcome> {
  switch (act.action) {
    case 'bad_password':
      return await wrongCredential(culprit)
    case 'duplicate_id':
      return await secondProgram(culprit)
    case 'garbage':
      return await strange(
        culprit,
        act,
        (socket) => flood(socket, act.bytes ?? 0, noise(act)),
        `${act.bytes} bytes of noise after the upgrade`,
      )
    case 'oversize':
      return await strange(culprit, act, oversize(act.bytes ?? 0), 'a request header without end')
    default:
      return await strange(culprit, act, (socket) => socket.write(upgrade), 'an upgrade and then silence')
  }
}

const upgrade = 'GET /sennit/v1 HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: sennit/1\r\nSennit-First: \r\n\r\n'

function noise(act: FaultAct): (bytes: Uint8Array) => void {
  return (bytes) => fillKeystream(keystreamKey(act.atMs, act.act), 0, bytes)
}

function oversize(bytes: number): (socket: Socket) => void {
  return (socket) => {
    socket.write('GET /sennit/v1 HTTP/1.1\r\nX: ')
    flood(socket, bytes, (piece) => piece.fill(0x61))
  }
}

/** Writes so many bytes, as fast as they are taken. */
function flood(socket: Socket, bytes: number, fill: (piece: Uint8Array) => void): void {
  if (fill.length === 0) return
  let left = bytes
  const next = (): void => {
    while (left > 0 && !socket.destroyed) {
      const piece = new Uint8Array(Math.min(left, floodPieceBytes))
      fill(piece)
      left -= piece.length
      if (!socket.write(piece)) return
    }
  }
  socket.on('drain', next)
  next()
}

/** A stranger on a socket of its own: it must be told off, and its socket ended. */
async function strange({ relayUrl, relayId }: Culprit, act: FaultAct, send: (socket: Socket) => void, what: string): Promise<Outcome> {
  const { hostname, port } = new URL(relayUrl)
  const startedMs = performance.now()
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  let answer = ''
  let why = ''
  socket.on('data', (bytes: Buffer) => {
    if (answer.length < 100) answer += bytes.toString('latin1')
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    why = error.code ?? error.message
  })
  const ended = await new Promise<boolean>((done) => {
    const timer = setTimeout(() => done(false), patienceMs)
    socket.once('close', () => {
      clearTimeout(timer)
      done(true)
    })
    socket.once('connect', () => {
      if (act.action === 'garbage') socket.write(upgrade)
      send(socket)
    })
  })
  const sent = socket.bytesWritten
  socket.destroy()
  const tookMs = Math.round(performance.now() - startedMs)
  const heard = [/^HTTP\/1\.1 \d{3}/.exec(answer)?.[0] ?? '', why].filter((text) => text !== '').join(', ')
  const done = `${what}: ${sent} bytes sent to ${relayId}${heard === '' ? '' : `, it said ${heard}`}`
  if (ended && answer === '' && sent === 0) throw new Error(`${relayId} could not be reached: ${why}`)
  return ended
    ? { receipt: `${done}, and ended it after ${tookMs} ms`, breach: '' }
    : { receipt: `${done}, and kept it`, breach: `${relayId} kept a stranger for ${patienceMs / 1000} s (${what})` }
}

/** A credential with the certificate of a user, and another key. */
export interface StolenCredential {
  readonly file: string
  /** Takes the file away. */
  dispose(): void
}

export function stealCredential(own: string, user: string): StolenCredential {
  const folder = mkdtempSync(join(tmpdir(), 'sennit-test-thief-'))
  const dispose = (): void => rmSync(folder, { recursive: true, force: true })
  try {
    const stolen = JSON.parse(readFileSync(own, 'utf8')) as Record<string, unknown>
    const { publicKey, privateKey } = nodeCrypto().generateX25519()
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
    const file = join(folder, `${user}.cred`)
    writeFileSync(file, JSON.stringify({ ...stolen, hopKey: { publicKey: hex(publicKey), privateKey: hex(privateKey) } }), { mode: 0o600 })
    return { file, dispose }
  } catch (error) {
    dispose()
    throw error
  }
}

/** Somebody who has the certificate of the client and not its key. */
async function wrongCredential({ client, options, credentialFile, relayId }: Culprit): Promise<Outcome> {
  const { file, dispose } = stealCredential(credentialFile, client.user)
  try {
    const startedMs = performance.now()
    try {
      const thief = await Client.open({ ...options, credential: file })
      await thief.close()
    } catch (error) {
      const refused = `${codeOf(error)} after ${Math.round(performance.now() - startedMs)} ms`
      return { receipt: `the certificate of ${client.user} with another key, at ${relayId} and the others: ${refused}`, breach: '' }
    }
    return {
      receipt: `the certificate of ${client.user} with another key was accepted`,
      breach: `somebody without the key of ${client.user} was let in`,
    }
  } finally {
    dispose()
  }
}

/** A second program of the client's name: what the first one has, it must not get. */
async function secondProgram({ client, options, flow, peer, serves }: Culprit): Promise<Outcome> {
  if (flow === undefined) throw new Error(`${client.client} has no open connection that a second program could take`)
  const { application } = flow
  const second = await Client.open(options)
  const what = serves ? `listen for ${application}` : `connect to ${peer} for ${application}`
  try {
    if (serves) await second.listen({ application })
    else await second.connect({ user: peer, application, waitMs: patienceMs })
  } catch (error) {
    return { receipt: `a second program of ${client.client} attached and asked to ${what}: ${codeOf(error)}`, breach: '' }
  } finally {
    await second.close({ waitMs: 500 })
  }
  return {
    receipt: `a second program of ${client.client} attached and could ${what}`,
    breach: `two programs of ${client.client} had the same connection at once`,
  }
}
