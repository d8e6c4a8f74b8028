/** A real relay on loopback with a mesh in a temporary folder, and raw clients that wait for events, never for time. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HopControl, HopLink, type LinkEffect, type PacketHeader, type UserIdentity } from '@sennit/protocol'
import { addUser, initMesh, nodeCrypto, readCredential } from '@sennit/protocol/node'
import { type RelayConfig, type RunningRelay, readRelayConfig, type StartRelayOptions, startRelay } from '@sennit/relay'
import pino from 'pino'
import type { Dial, RawPipe } from './raw-carriers.ts'

export interface LiveMesh {
  readonly dir: string
  readonly relay: RunningRelay
  identity(user: string): Promise<UserIdentity>
  end(): Promise<void>
}

export interface LiveOptions extends StartRelayOptions {
  readonly change?: (config: RelayConfig) => RelayConfig
}

export async function liveMesh(options: LiveOptions = {}): Promise<LiveMesh> {
  const dir = mkdtempSync(join(tmpdir(), 'sennit-relay-'))
  const { change, ...given } = options
  await initMesh(dir, { relays: [{ relayId: 'r1', url: 'http://127.0.0.1:1', listen: '127.0.0.1:0', admin: '127.0.0.1:0' }] })
  const config = readRelayConfig(join(dir, 'relays', 'r1.toml'))
  const relay = await startRelay(change === undefined ? config : change(config), { log: pino({ level: 'silent' }), ...given })
  const identities = new Map<string, UserIdentity>()
  return {
    dir,
    relay,
    async identity(user) {
      let identity = identities.get(user)
      if (identity === undefined) {
        identity = readCredential(await addUser(dir, user)).identity
        identities.set(user, identity)
        relay.reloadUsers()
      }
      return identity
    },
    async end() {
      await relay.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** A HopLink over a raw carrier. `until` waits for something it heard. */
export class LiveClient {
  readonly controls: HopControl[] = []
  readonly packets: { circuit: number; header: PacketHeader; pieces: Uint8Array[] }[] = []
  receivedBytes = 0
  established = false
  closed: string | undefined
  keepPackets = true
  private readonly link: HopLink
  private readonly pipe: RawPipe
  private readonly waiters = new Set<() => void>()
  private timer: NodeJS.Timeout | undefined

  constructor(mesh: LiveMesh, identity: UserIdentity, carrier: string, dial: Dial, relayKey?: Uint8Array) {
    const { trust } = readCredential(join(mesh.dir, 'users', `${identity.user}.cred`))
    this.link = new HopLink({
      role: 'initiator',
      crypto: nodeCrypto(),
      random: Math.random,
      meshId: trust.meshId,
      carrier,
      software: 'test/1',
      trust,
      relayId: 'r1',
      ...(relayKey === undefined ? {} : { relayKey }),
      identity,
      label: '',
      instance: nodeCrypto().randomBytes(16),
    })
    this.pipe = dial(mesh.relay.url, this.link.first(Date.now()), {
      bytes: (chunk) => {
        this.link.receive(Date.now(), chunk)
        this.pump()
      },
      closed: (why) => {
        this.closed ??= why
        this.tell()
      },
    })
  }

  say(message: HopControl): void {
    this.link.sendControl(message)
    this.pump()
  }

  send(circuit: number, header: PacketHeader, pieces: readonly Uint8Array[]): void {
    this.link.sendPacket(circuit, header, pieces)
    this.pump()
  }

  async heard<Type extends HopControl['type']>(type: Type): Promise<Extract<HopControl, { type: Type }>> {
    await this.until(() => this.controls.some((message) => message.type === type), `heard ${type}`)
    const index = this.controls.findIndex((message) => message.type === type)
    return this.controls.splice(index, 1)[0] as Extract<HopControl, { type: Type }>
  }

  until(holds: () => boolean, what: string, withinMs = 10_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        this.waiters.delete(look)
        reject(
          new Error(
            `expected within ${withinMs} ms: ${what}; heard ${this.controls.map((message) => message.type).join()}; closed ${this.closed}`,
          ),
        )
      }, withinMs)
      const look = (): void => {
        if (!holds()) return
        clearTimeout(deadline)
        this.waiters.delete(look)
        resolve()
      }
      this.waiters.add(look)
      look()
    })
  }

  close(): void {
    clearTimeout(this.timer)
    this.pipe.close()
  }

  private pump(): void {
    for (let effect: LinkEffect | undefined = this.link.poll(); effect !== undefined; effect = this.link.poll()) {
      switch (effect.type) {
        case 'write':
          for (const piece of effect.pieces) this.pipe.write(piece)
          break
        case 'control':
          this.controls.push(effect.message)
          break
        case 'packet':
          for (const piece of effect.pieces) this.receivedBytes += piece.length
          if (this.keepPackets) this.packets.push(effect)
          break
        case 'established':
          this.established = true
          break
        case 'closed':
          this.closed ??= effect.code
      }
    }
    clearTimeout(this.timer)
    const atMs = this.link.wakeAtMs()
    if (atMs !== undefined)
      this.timer = setTimeout(
        () => {
          this.link.wake(Date.now())
          this.pump()
        },
        Math.max(0, atMs - Date.now()),
      ).unref()
    this.tell()
  }

  private tell(): void {
    for (const look of [...this.waiters]) look()
  }
}

/** Two clients of a live relay with one circuit between them. */
export async function livePair(
  mesh: LiveMesh,
  carrier: string,
  dial: Dial,
): Promise<{ a: LiveClient; b: LiveClient; circuitA: number; circuitB: number; credit: number }> {
  const a = new LiveClient(mesh, await mesh.identity('alice'), carrier, dial)
  const b = new LiveClient(mesh, await mesh.identity('bob'), carrier, dial)
  await a.until(() => a.established, 'alice attached')
  await b.until(() => b.established, 'bob attached')
  b.say({ type: 'listen', listenId: 1, application: 'chat', from: '*' })
  await b.heard('listening')
  const handshake = new Uint8Array(96)
  a.say({
    type: 'connect',
    requestId: 1,
    user: 'bob',
    label: '',
    application: 'chat',
    connectionId: new Uint8Array(16),
    attempt: 1,
    instance: new Uint8Array(16),
    handshake,
  })
  const { offerId } = await b.heard('offer')
  b.say({ type: 'answer', offerId, handshake })
  const opened = await b.heard('opened')
  const connected = await a.heard('connected')
  return { a, b, circuitA: connected.circuit, circuitB: opened.circuit, credit: connected.credit }
}
