import type { Frame } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { MeshWorld, type WorldClient } from '../client/mesh-world.ts'
import { World } from '../connection/world.ts'
import { HostilePeer } from './hostile-peer.ts'

const note: Frame = { type: 'pathBad', relayId: 'nowhere' }
const plan = { epoch: 1, order: ['r1', 'r2', 'r3'], activeSend: 'r1', activeReceive: 'r1', standby: 'r2' }

describe('key epochs (rule 3)', () => {
  it('keep the old key until its last kept packet came, however late', () => {
    const peer = new HostilePeer()
    peer.open(1)
    const old = [0, 1, 2, 3].map((number) => peer.seal('control', [note], number))
    peer.rekey()
    for (let number = 4; number < 60; number += 1) peer.say(1, 'control', [note], number)
    for (const packet of old.reverse()) peer.hand(1, ...packet)
    expect(peer.machine.status().kept).toMatchObject({ received: 60, duplicates: 0 })
    expect(peer.machine.status().epoch.receive).toBe(1)
  })

  it('take a late loose packet of a dropped epoch, and one too far ahead, for nobody’s fault', () => {
    const peer = new HostilePeer({ tuning: { forgedMax: 1 } })
    peer.open(1)
    peer.open(2)
    const late = peer.seal('loose', [{ type: 'ping', id: 5 }])
    peer.say(1, 'control', [note])
    peer.rekey()
    peer.say(1, 'control', [note])
    peer.hand(1, ...late)
    peer.rekey()
    peer.rekey()
    peer.say(1, 'control', [note])
    expect(peer.machine.status().paths.map((path) => path.state)).toEqual(['open', 'open'])
    expect(peer.machine.status().kept.received).toBe(2)
  })

  it.each([1, 2, 3, 4])('that change with every packet lose nothing over paths that come and go, seed %i', (seed) => {
    const world = new World({ seed, tuning: { epochPackets: 1, epochMs: 1 } })
    world.usePlan(plan)
    world.start(0, { messages: 300, messageBytes: [10, 4_000], everyMs: 4, perTurn: 2 })
    world.start(1, { messages: 300, messageBytes: [10, 4_000], everyMs: 4, perTurn: 2 })
    for (let round = 0; round < 6; round += 1) {
      const relayId = `r${(round % 2) + 1}`
      world.run(world.nowMs + 300)
      if (round % 3 === 0) world.freeze(relayId)
      else world.kill(relayId)
      world.after(400, () => {
        world.revive(relayId)
        world.thaw(relayId)
      })
    }
    world.run(world.nowMs + 60_000, () => world.settled())
    expect(world.settled(), world.describe()).toBe(true)
    expect(world.ends[0].machine.status().epoch.send).toBeGreaterThan(20)
  })
})

describe('ends (rules 22, 23)', () => {
  it.each(['kill', 'freeze', 'one_way'] as const)('a close during fail-over delivers everything first: %s', (fault) => {
    for (let seed = 1; seed <= 4; seed += 1)
      for (const both of [false, true]) {
        const world = new World({ seed })
        world.usePlan(plan)
        world.run(300)
        world.start(0, { messages: 60, messageBytes: [10, 8_000], everyMs: 1, perTurn: 10 })
        if (both) world.start(1, { messages: 60, messageBytes: [10, 8_000], everyMs: 1, perTurn: 10 })
        world.run(world.nowMs + 6)
        if (fault === 'kill') world.kill('r1')
        else if (fault === 'freeze') world.freeze('r1')
        else world.block('r1', 1, true)
        world.run(world.nowMs + 5)
        // What the credit does not take yet is the shell's to wait for.
        world.run(
          world.nowMs + 400,
          () => world.written() && world.ends.every((end) => end.machine.streams.messageAcceptedIndex() === end.messagesSent - 1),
        )
        for (const side of both ? ([0, 1] as const) : ([0] as const))
          world.input(side, () => world.ends[side].machine.close(world.nowMs, 'closed', 'done'))
        world.run(world.nowMs + 20_000, () => world.ends.every((end) => end.closed !== undefined))
        const [first, second] = world.ends.map((end) => end.closed?.code)
        if (!both) expect([first, second]).toEqual(['closed', 'peer_closed'])
        // Whoever is told `closed` had everything taken; the other was told that the peer did not wait.
        if (first === 'closed') expect(world.ends[1].messagesGot, `seed ${seed}`).toBe(world.ends[0].messagesSent)
        if (both && second === 'closed') expect(world.ends[0].messagesGot, `seed ${seed}`).toBe(world.ends[1].messagesSent)
        expect([first, second].filter((code) => code !== 'closed' && code !== 'peer_closed')).toEqual([])
        expect([first, second]).toContain('closed')
      }
  })

  it('closing together over different paths, each with a last ack that is late, ends both well', () => {
    for (let seed = 1; seed <= 6; seed += 1) {
      const world = new World({ seed, relays: { r1: 5, r2: 150 } })
      world.usePlan({ ...plan, order: ['r1', 'r2'], activeSend: 'r1', activeReceive: 'r2' })
      world.run(1_000)
      world.start(0, { messages: 5 })
      world.start(1, { messages: 5 })
      world.run(2_000)
      for (const side of [0, 1] as const)
        world.after(seed * 40 * side, () => world.input(side, () => world.ends[side].machine.close(world.nowMs, 'closed', '')))
      world.run(10_000, () => world.ends.every((end) => end.closed !== undefined))
      for (const end of world.ends) expect(['closed', 'peer_closed']).toContain(end.closed?.code)
    }
  })

  it('a close whose last ack is lost with all paths is a good close, for all is confirmed', () => {
    for (const side of [0, 1] as const) {
      const world = new World({ seed: 4, joins: false })
      world.usePlan(plan)
      world.run(300)
      world.start(0, { messages: 5 })
      world.start(1, { messages: 5 })
      world.run(2_000, () => world.settled())
      const other = side === 0 ? 1 : 0
      for (const relayId of ['r1', 'r2']) world.block(relayId, other, true)
      world.input(side, () => world.ends[side].machine.close(world.nowMs, 'closed', 'done'))
      world.run(world.nowMs + 200)
      expect(world.ends[other].closed?.code).toBe('peer_closed')
      for (const relayId of ['r1', 'r2']) world.kill(relayId)
      world.run(world.nowMs + 5_000)
      expect(world.ends[side].closed).toMatchObject({ code: 'closed', remote: false })
    }
  })

  it('both ends call silence of 120 s a timeout, with counts, and hold nothing after it', () => {
    const world = new World({ seed: 1, joins: false })
    world.usePlan(plan)
    world.run(300)
    world.start(0, { messages: 20 })
    world.run(320)
    for (const relayId of ['r1', 'r2']) world.kill(relayId)
    world.run(150_000, () => world.ends.every((end) => end.closed !== undefined))
    for (const end of world.ends) {
      expect(end.closed?.code).toBe('timeout')
      expect(end.closed?.counts[0]?.streamId).toBe(0)
    }
    expect(world.nowMs).toBeLessThan(121_000)
  })
})

describe('an end said while no path was there (rule 23)', () => {
  function together(): { world: MeshWorld; alice: WorldClient; bob: WorldClient } {
    const world = new MeshWorld({ relays: ['r1', 'r2'], users: ['alice', 'bob'] })
    const bob = world.client('bob')
    bob.listen('chat')
    world.run(2_000)
    const alice = world.client('alice')
    alice.connect('bob', 'chat')
    world.run(5_000)
    expect(bob.connection).toBeDefined()
    return { world, alice, bob }
  }
  function apart(): { world: MeshWorld; alice: WorldClient; bob: WorldClient } {
    const all = together()
    for (const relay of all.world.relays.values()) relay.kill()
    all.world.run(200)
    return all
  }
  const abort = (world: MeshWorld, client: WorldClient): void => {
    client.machine.abortConnection(world.nowMs, client.connection!, 'aborted', 'enough')
    client.touch()
  }

  it.each(['caller', 'listener'] as const)('by the %s reaches the other end as soon as a relay is back', (who) => {
    const { world, alice, bob } = apart()
    const [from, to] = who === 'caller' ? [alice, bob] : [bob, alice]
    abort(world, from)
    world.run(3_000)
    world.relay('r2').start()
    expect(world.runUntil(() => to.all('connectionClosed').length > 0, 20_000)).toBeDefined()
    expect(['aborted', 'peer_closed']).toContain(to.all('connectionClosed')[0]?.code)
    world.run(10_000)
    expect(from.machine.status().connections).toEqual([])
  })

  it.each(['caller', 'listener'] as const)(
    'in good order by the %s, and lost with the relays, reaches the other end all the same',
    (who) => {
      const { world, alice, bob } = together()
      const [from, to] = who === 'caller' ? [alice, bob] : [bob, alice]
      from.close(from.connection!)
      for (const relay of world.relays.values()) relay.kill()
      world.run(6_000)
      expect(from.all('connectionClosed')[0]).toMatchObject({ code: 'closed', remote: false })
      expect(to.all('connectionClosed')).toEqual([])
      world.relay('r1').start()
      // Whoever has said its end waits for nothing, so the ordinary back-off counts for it: half a minute at most.
      expect(world.runUntil(() => to.all('connectionClosed').length > 0, 40_000)).toBeDefined()
      expect(to.all('connectionClosed')[0]?.code).toBe('peer_closed')
    },
  )
})
