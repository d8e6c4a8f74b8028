// A connection that has lost its last path: who is dialled at once, who is not, and what the back-off makes of it afterwards.
import { describe, expect, it } from 'vitest'
import { Attachment } from '../../src/core/attach/attachment.ts'
import type { AttachmentContext } from '../../src/core/attach/attachment-context.ts'
import type { BackoffFacts } from '../../src/core/attach/backoff.ts'
import { clientTuning } from '../../src/core/client/tuning.ts'
import { PolicyView } from '../../src/core/plan/policy.ts'
import { MeshWorld, type WorldClient } from './mesh-world.ts'

/** One attachment whose dials are refused at once. */
class Dialled {
  readonly dials: number[] = []
  readonly attachment: Attachment
  nowMs = 0
  lot = 0.5

  constructor(facts: BackoffFacts) {
    const world = new MeshWorld({ relays: ['r1'], users: ['alice'] })
    const nothing = () => undefined
    let keys = 0
    const context: AttachmentContext = {
      crypto: world.crypto,
      random: () => this.lot,
      identity: world.identity('alice'),
      trust: world.mesh.trust,
      label: '',
      instance: new Uint8Array(16),
      software: 'test',
      carriers: ['upgrade'],
      carriersOf: {},
      lentChunks: false,
      tuning: clientTuning,
      policy: new PolicyView(),
      nextKey: () => (keys += 1),
      sink: {
        dial: () => void this.dials.push(this.nowMs),
        write: nothing,
        hangUp: nothing,
        dirty: nothing,
        attached: nothing,
        detached: nothing,
        dialFailed: nothing,
        control: nothing,
        packet: nothing,
        backoffFacts: () => facts,
      },
    }
    this.attachment = new Attachment(context, { relayId: 'r1', urls: ['http://r1'] })
  }

  /** Fails so often, each dial when it is due; returns when the next one is. */
  fail(times: number): number {
    this.attachment.want(this.nowMs, this.nowMs)
    for (let time = 0; time < times; time += 1) this.due()
    return this.attachment.wakeAtMs()
  }

  /** Time passes until the next dial, which is refused. */
  due(): void {
    this.nowMs = this.attachment.wakeAtMs()
    this.attachment.wake(this.nowMs)
    this.attachment.carrierClosed(this.nowMs, this.dials.length, 'dial_failed', 'nothing listens')
  }
}

const calm: BackoffFacts = { urgent: false, mayRest: false, serving: false }

describe('one prompt dial', () => {
  it.each([
    ['a back-off of seconds', calm, 5, 'waiting'],
    ['a rest of minutes', { ...calm, mayRest: true }, 8, 'resting'],
  ] as const)(
    'comes before the turn of %s, within a quarter second by lot, and leaves that turn as it was',
    (_name, facts, failures, state) => {
      for (const lot of [0, 0.3, 0.999]) {
        const relay = new Dialled(facts)
        const turnMs = relay.fail(failures)
        expect(relay.attachment.state).toBe(state)
        relay.lot = lot
        relay.attachment.prompt(relay.nowMs)
        expect(relay.attachment.wakeAtMs()).toBe(relay.nowMs + lot * clientTuning.pathlessSpreadMs)
        relay.due()
        expect(relay.attachment.state).toBe(state)
        expect(relay.attachment.wakeAtMs()).toBe(turnMs)
      }
    },
  )

  it('counts for nothing in the back-off: the turn after it has the delay that it would have had', () => {
    const [prompted, left] = [new Dialled(calm), new Dialled(calm)]
    for (const relay of [prompted, left]) relay.fail(4)
    prompted.attachment.prompt(prompted.nowMs)
    prompted.due()
    for (const relay of [prompted, left]) relay.due()
    expect(prompted.nowMs).toBe(left.nowMs)
    expect(prompted.attachment.wakeAtMs()).toBe(left.attachment.wakeAtMs())
  })

  it('is not needed where the back-off dials sooner', () => {
    const relay = new Dialled(calm)
    relay.lot = 0.1
    const turnMs = relay.fail(1)
    relay.lot = 0.9
    relay.attachment.prompt(relay.nowMs)
    expect(relay.attachment.wakeAtMs()).toBe(turnMs)
  })

  it('comes once a second at most, however many connections lose their last path one after the other', () => {
    const relay = new Dialled(calm)
    relay.fail(6)
    relay.attachment.prompt(relay.nowMs)
    const firstMs = relay.attachment.wakeAtMs()
    relay.due()
    relay.attachment.prompt(relay.nowMs)
    relay.attachment.prompt(relay.nowMs + 1)
    expect(relay.attachment.wakeAtMs()).toBe(firstMs + clientTuning.promptEveryMs + 0.5 * clientTuning.pathlessSpreadMs)
  })

  it('is for a relay that is wanted and away: neither for one that is not wanted nor for one being dialled', () => {
    const relay = new Dialled(calm)
    relay.attachment.prompt(0)
    expect(relay.attachment.state).toBe('idle')
    relay.attachment.want(0, 0)
    relay.attachment.wake(0)
    relay.attachment.prompt(0)
    expect(relay.attachment.state).toBe('dialing')
    expect(relay.dials).toEqual([0])
  })
})

describe('a rest', () => {
  const longRest = (): Dialled => {
    const relay = new Dialled({ ...calm, mayRest: true })
    relay.fail(12)
    return relay
  }

  it('is cut to half a minute, half of it by lot, once the client listens', () => {
    for (const lot of [0, 0.999]) {
      const relay = longRest()
      const { nowMs } = relay
      expect(relay.attachment.wakeAtMs() - nowMs).toBeGreaterThan(150_000)
      relay.lot = lot
      relay.attachment.restAtMost(nowMs, 30_000)
      expect(relay.attachment.wakeAtMs() - nowMs).toBe(15_000 + 15_000 * lot)
      // Drawn once: the least of many draws would be no jitter.
      relay.lot = 0
      relay.attachment.restAtMost(nowMs + 1, 30_000)
      expect(relay.attachment.wakeAtMs() - nowMs).toBe(15_000 + 15_000 * lot)
      expect(relay.attachment.state).toBe('resting')
    }
  })
})

/** bob listens and answers; alice calls; both have the relays given. */
function connected(relays: readonly string[], seed: number): { world: MeshWorld; alice: WorldClient; bob: WorldClient; handle: number } {
  const world = new MeshWorld({ relays, users: ['alice', 'bob'], seed })
  const bob = world.client('bob')
  bob.echoes = true
  bob.listen('chat')
  world.run(1_000)
  const alice = world.client('alice')
  alice.connect('bob', 'chat')
  world.run(30_000)
  return { world, alice, bob, handle: alice.connection! }
}

/** How long a word takes that is sent now, to the other end and back. */
function answered(world: MeshWorld, alice: WorldClient, handle: number): number {
  const word = `at ${world.nowMs}`
  alice.send(handle, word)
  return world.runUntil(() => alice.received(handle).includes(word), 60_000) ?? Number.POSITIVE_INFINITY
}

const seeds = Array.from({ length: 20 }, (_, index) => index + 1)

describe('two relays', () => {
  // r1 is killed and is back after 100 ms; neither end has dialled it again when r2 is killed too. Before, both waited for the back-off of r1.
  it.each(seeds)('killed one after the other, the first one back by then: the pause stays under 600 ms (seed %i)', (seed) => {
    const { world, alice, handle } = connected(['r1', 'r2'], seed)
    const [first, second] = [world.relay('r1'), world.relay('r2')]
    first.kill()
    world.run(100)
    first.start()
    second.kill()
    expect(answered(world, alice, handle)).toBeLessThan(600)
  })

  // r1 stays away until the back-off of both ends has grown to its cap, comes back unnoticed, and r2 goes.
  it.each(seeds)('the first one away for a minute and back unnoticed: still under 600 ms (seed %i)', (seed) => {
    const { world, alice, handle } = connected(['r1', 'r2'], seed)
    world.relay('r1').kill()
    world.run(60_000)
    world.relay('r1').start()
    world.relay('r2').kill()
    expect(answered(world, alice, handle)).toBeLessThan(600)
  })

  // A thousand clients draw for themselves: the prompt dials of one loss must not come in step.
  it('are dialled by a crowd that has lost both at moments spread over the quarter second', () => {
    const users = Array.from({ length: 40 }, (_, index) => [`a${index}`, `b${index}`]).flat()
    const world = new MeshWorld({ relays: ['r1', 'r2'], users, seed: 3 })
    for (const user of users.filter((name) => name.startsWith('b'))) world.client(user).listen('app')
    world.run(2_000)
    const callers = users.filter((name) => name.startsWith('a')).map((name) => world.client(name))
    for (const [index, caller] of callers.entries()) caller.connect(`b${index}`, 'app')
    world.run(10_000)
    world.relay('r1').kill()
    world.run(3_000)
    world.relay('r1').start()
    world.relay('r2').kill()
    const killedAtMs = world.nowMs
    const seen = new Map(world.clients.map((client) => [client, client.all('event').length]))
    const buckets = Array.from({ length: 10 }, () => 0)
    for (let bucket = 0; bucket < buckets.length; bucket += 1) {
      world.runUntil(() => false, killedAtMs + 20 + (bucket + 1) * 25 - world.nowMs)
      for (const client of world.clients) {
        const events = client.all('event')
        for (const { event } of events.slice(seen.get(client)!)) if (event.type === 'attached') buckets[bucket]! += 1
        seen.set(client, events.length)
      }
    }
    const all = buckets.reduce((sum, count) => sum + count, 0)
    expect(all).toBeGreaterThan(0.9 * users.length)
    // An even share of a tenth of the time is a tenth; three times that is no burst.
    expect(Math.max(...buckets)).toBeLessThan(0.3 * all)
  })
})

describe('a client whose sockets end here only', () => {
  // r1 dies, so that the path over r2 began with JOINs; alice's sockets are cut and r2 hears nothing of it, and bob, who only answers, neither.
  it('is coupled again at once by its JOIN, though the relay does not know yet that the old attachment is dead', () => {
    const { world, alice, bob, handle } = connected(['r1', 'r2'], 5)
    const active = alice.machine.status().connections[0]!.active.send!
    world.relay(active).kill()
    expect(answered(world, alice, handle)).toBeLessThan(600)
    alice.losesSockets()
    expect(answered(world, alice, handle)).toBeLessThan(600)
    expect(bob.all('connectionClosed')).toEqual([])
  })

  // The path over the only relay began with the call itself; both ends told the relay its tag, so it need not wait for the old attachment's three seconds.
  it.each(['alice', 'bob'] as const)('is coupled again at once where the path began with the call (%s)', (who) => {
    const ends = connected(['r1'], 6)
    const { world, alice, bob, handle } = ends
    ends[who].losesSockets()
    expect(answered(world, alice, handle)).toBeLessThan(600)
    expect([...alice.all('connectionClosed'), ...bob.all('connectionClosed')]).toEqual([])
  })
})

describe('the only relay that two share', () => {
  // It is away for half an hour while the listener is served by others, and comes back. The listener rested it for up to five minutes (seed 120).
  it('is dialled within half a minute of its return by who listens', () => {
    const world = new MeshWorld({ relays: ['r1', 'r2', 'r3', 'r4'], users: ['alice', 'bob'] })
    const bob = world.client('bob')
    bob.listen('chat')
    world.run(5_000)
    world.relay('r4').kill()
    world.run(1_800_000)
    const rests = bob.all('event').flatMap(({ event }) => (event.type === 'relay_resting' ? [event.forMs] : []))
    expect(rests.length).toBeGreaterThan(10)
    expect(Math.max(...rests)).toBeLessThanOrEqual(30_000)
    world.relay('r4').start()
    const alice = world.client('alice', { relays: ['r4'] })
    alice.connect('bob', 'chat', 60_000)
    expect(world.runUntil(() => alice.connection !== undefined, 60_000)).toBeLessThan(31_000)
  })

  // A caller is served by other relays and has rested the one for minutes; the call that waits cuts the rest short.
  it('is dialled within seconds by a call that waits, however long it was to rest', () => {
    const world = new MeshWorld({ relays: ['r1', 'r2', 'r3', 'r4'], users: ['alice', 'bob'] })
    const alice = world.client('alice', { attach: 'all' })
    world.run(5_000)
    world.relay('r4').kill()
    world.run(1_800_000)
    world.relay('r4').start()
    const bob = world.client('bob', { relays: ['r4'] })
    bob.listen('chat')
    world.run(1_000)
    const resting = () => alice.machine.relays().find(({ relay }) => relay === 'r4')
    expect(resting()?.state).not.toBe('attached')
    alice.connect('bob', 'chat')
    expect(world.runUntil(() => alice.connection !== undefined, 30_000)).toBeLessThan(6_000)
  })
})
