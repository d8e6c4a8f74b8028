// Faults that seeds of the virtual world found, each at the smallest scale that shows it.
import { issueMesh, issueUserCertificate, PACKET_KIND, simulatorCrypto, type UserIdentity } from '@sennit/protocol'
import { describe, expect, it, vi } from 'vitest'
import { Attachment } from '../../src/core/attach/attachment.ts'
import { Call, type CallHost } from '../../src/core/client/call.ts'
import { clientTuning } from '../../src/core/client/tuning.ts'
import { PolicyView } from '../../src/core/plan/policy.ts'
import { MeshWorld, seeded, startMs } from './mesh-world.ts'

describe('a call that lets the elder go first', () => {
  it('ends when its time is over, not when its pause is, and never asks to be woken in the past', () => {
    const failed: string[] = []
    const call = new Call(callHost(failed), {
      handle: 1,
      user: 'alice',
      label: '',
      application: 'chat',
      keyModes: ['blind'],
      paths: undefined,
      policy: new PolicyView(),
      startedAtMs: startMs,
      deadlineMs: startMs + 2_000,
    })
    call.step(startMs)
    call.yielded(startMs + 500)
    expect(call.wakeAtMs()).toBe(startMs + 2_000)
    call.step(startMs + 2_000)
    expect(failed).toEqual(['no_relay'])
    expect(call.wakeAtMs()).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('a label', () => {
  it('is part of the name: a call of bob/second is no answer to a call to bob', () => {
    const world = new MeshWorld({ relays: ['r1', 'r2'], users: ['alice', 'bob'] })
    const bob = world.client('bob')
    bob.listen('chat')
    const second = world.client('bob', { label: 'second' })
    const alice = world.client('alice')
    alice.listen('chat')
    world.run(2_000)
    second.connect('alice', 'chat')
    alice.connect('bob', 'chat')
    world.run(5_000)
    const peers = alice.all('connection').map(({ peer }) => `${peer.user}/${peer.label}`)
    expect(peers.sort()).toEqual(['bob/', 'bob/second'])
    expect(bob.all('connection')).toHaveLength(1)
    expect([...alice.all('connectionClosed'), ...bob.all('connectionClosed')]).toEqual([])
  })
})

describe('data that overtakes the confirmation', () => {
  it('is told to the application once it knows of the connection, though nothing follows it', () => {
    const world = new MeshWorld({ relays: ['r1', 'r2'], users: ['alice', 'bob'] })
    const bob = world.client('bob')
    bob.listen('chat')
    const alice = world.client('alice')
    world.run(2_000)
    const honest = Attachment.prototype.sendPacket
    let lost = 0
    const relay = vi.spyOn(Attachment.prototype, 'sendPacket').mockImplementation(function send(this: Attachment, ...packet) {
      const [, { kind, counter }] = packet
      if (kind === PACKET_KIND.control && counter === 0 && lost === 0) lost += 1
      else honest.apply(this, packet)
    })
    try {
      alice.connect('bob', 'chat')
      expect(world.runUntil(() => bob.connection !== undefined, 1_000)).toBeDefined()
      bob.send(bob.connection!, 'hello')
      expect(alice.connection).toBeUndefined()
      world.run(5_000)
    } finally {
      relay.mockRestore()
    }
    expect(lost).toBe(1)
    expect(alice.received(alice.connection!)).toEqual(['hello'])
  })
})

describe('two that call each other', () => {
  it('meet when the elder listens too and the younger does not', () => {
    const world = new MeshWorld({ relays: ['r1', 'r2'], users: ['alice', 'bob'] })
    const alice = world.client('alice')
    alice.listen('chat')
    const bob = world.client('bob')
    world.run(2_000)
    alice.connect('bob', 'chat')
    bob.connect('alice', 'chat')
    expect(world.runUntil(() => alice.connection !== undefined && bob.connection !== undefined, 2_000)).toBeDefined()
    expect(alice.all('connection')[0]?.id).toBe(bob.all('connection')[0]?.id)
  })
})

describe('a relay that was frozen, then started anew', () => {
  it('is the standby again as soon as both are attached to it', () => {
    const world = new MeshWorld({ relays: ['r1', 'r2'], users: ['alice', 'bob'] })
    const bob = world.client('bob')
    bob.echoes = true
    bob.listen('chat')
    const alice = world.client('alice')
    world.run(2_000)
    alice.connect('bob', 'chat')
    world.run(3_000)
    const active = alice.machine.status().connections[0]!.active.send!
    world.relay(active).freeze()
    // The verdict is made on data in flight.
    for (let tick = 0; tick < 10; tick++) {
      alice.send(alice.connection!, `tick ${tick}`)
      world.run(100)
    }
    expect(alice.machine.status().connections[0]!.active.send).not.toBe(active)
    world.relay(active).thaw()
    world.relay(active).kill()
    world.relay(active).start()
    world.run(10_000)
    expect(alice.machine.status().connections[0]!.standby).toBe(active)
  })
})

/** A client with no relay at all: enough for what a call does by itself. */
function callHost(failed: string[]): CallHost {
  const random = seeded(1)
  const crypto = simulatorCrypto(random)
  const mesh = issueMesh(crypto, startMs)
  const [identityKey, hopKey, endKey] = [crypto.generateEd25519(), crypto.generateX25519(), crypto.generateX25519()]
  const certificate = issueUserCertificate(crypto, mesh.keys.userIssuer.privateKey, {
    meshId: mesh.trust.meshId,
    user: 'bob',
    identityKey: identityKey.publicKey,
    hopKey: hopKey.publicKey,
    endKey: endKey.publicKey,
    notBeforeMs: startMs - 1_000,
    notAfterMs: startMs + 1e10,
  })
  const identity: UserIdentity = { user: 'bob', identityKey, hopKey, endKey, certificate }
  let ids = 0
  const host: Partial<CallHost> = {
    crypto,
    random,
    identity,
    trust: mesh.trust,
    instance: crypto.randomBytes(16),
    ownName: 'bob',
    features: 0,
    tuning: clientTuning,
    attachments: { all: () => [], askOrder: () => [] } as unknown as CallHost['attachments'],
    nextId: () => (ids += 1),
    nextAttempt: () => (ids += 1),
    needsSync: () => {},
    callAnswered: () => {},
    callFailed: (_nowMs, _call, code) => void failed.push(code),
  }
  return host as CallHost
}
