import type { HopControl } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { bytes, type RawClient, seeded, World } from './world.ts'

/** Draws one message that a client may send at any time, sensible or not: few names and numbers, so that they meet. */
function draw(random: () => number): HopControl {
  const below = (limit: number): number => Math.floor(random() * limit)
  const one = <Item>(items: readonly Item[]): Item => items[below(items.length)]!
  // Bad names end the attachment at once, so they are rare.
  const rarely = (bad: readonly string[], good: readonly string[]): string => one(random() < 0.01 ? bad : good)
  const user = (): string => rarely(['', 'a\0b', 'x'.repeat(500)], ['alice', 'bob', 'carol', 'alice', 'bob', 'carol', 'mallory', '*'])
  const application = (): string => rarely(['', 'x\0y'], ['chat', 'chat', 'mail'])
  const label = (): string => rarely(['a\0b'], ['', '', '', '', 'l'])
  const id = (): number => below(4)
  switch (below(15)) {
    case 0:
    case 1:
      return { type: 'listen', listenId: id(), application: application(), from: random() < 0.7 ? '*' : user() }
    case 2:
      return { type: 'unlisten', listenId: id() }
    case 3:
    case 4:
      return {
        type: 'connect',
        requestId: id(),
        user: user(),
        label: label(),
        application: application(),
        connectionId: bytes(16, below(3)),
        attempt: below(3),
        instance: bytes(16, below(3)),
        handshake: bytes(one([0, 96, 96, 96, 8193]), 1),
        ...(random() < 0.3 ? { previous: bytes(16, 1) } : {}),
      }
    case 5:
      return { type: 'cancel', requestId: id() }
    case 6:
    case 7:
      return { type: 'answer', offerId: 1 + below(12), handshake: bytes(one([10, 8193]), 2) }
    case 8:
      return { type: 'reject', offerId: 1 + below(12), code: one(['exists', 'busy', '']) }
    case 9:
    case 10:
      return { type: 'join', joinId: id(), tag: bytes(16, below(3)), user: user(), label: label() }
    case 11:
      return { type: 'leave', joinId: id() }
    case 12:
      return { type: 'circuitClose', circuit: 1 + below(12), reason: 'done' }
    case 13:
      // What only a relay sends.
      return one<HopControl>([
        { type: 'listening', listenId: 1 },
        { type: 'circuitCredit', circuit: 1, limit: 5, wait: true },
        { type: 'drain', withinMs: 1, spreadMs: 1 },
        { type: 'joinRefused', joinId: 1, code: 'limit' },
      ])
    default: {
      const circuit = 1 + below(2 ** 32 - 1)
      // Names that its JOINs use too, mostly for circuits that there are.
      if (circuit % 2 === 0) return { type: 'circuitTag', circuit: 1 + (circuit % 12), tag: bytes(16, circuit % 3) }
      return { type: 'circuitClose', circuit, reason: 'other' }
    }
  }
}

describe('random clients', () => {
  it.each(Array.from({ length: 30 }, (_, index) => index + 1))('never make the machine throw or leak (seed %i)', (seed) => {
    const random = seeded(seed)
    const world = new World({
      seed,
      limits: {
        lookupsPerSecond: 1e6,
        lookupsBurst: 1e6,
        newBurst: 1e6,
        requestsPerAttachment: 3,
        offersPerAttachment: 2,
        joinsPerAttachment: 2,
      },
    })
    const users = ['alice', 'bob', 'carol'] as const
    let clients: RawClient[] = []
    for (let step = 0; step < 1500; step += 1) {
      clients = clients.filter((client) => client.closed === undefined)
      const client = clients[Math.floor(random() * clients.length)]
      const dice = random()
      if (client === undefined || (dice < 0.08 && clients.length < 8))
        clients.push(
          world.attach(users[Math.floor(random() * 3)]!, { label: random() < 0.1 ? 'l' : '', instance: Math.floor(random() * 4) }),
        )
      else if (dice < 0.1) client.drop()
      else if (dice < 0.11) client.block(!client.isFull)
      else if (dice < 0.16) world.pass(Math.floor(random() * 3000))
      else if (dice < 0.165) world.machine.bytes(world.nowMs, client.key, bytes(1 + Math.floor(random() * 300), seed))
      else if (dice < 0.4) {
        client.send(1 + Math.floor(random() * 6), 1 + Math.floor(random() * 65_536), Math.floor(random() * 5), step)
        world.settle()
      } else if (dice < 0.5) {
        const offer = client.maybe('offer')
        if (offer !== undefined) client.say({ type: 'answer', offerId: offer.offerId, handshake: bytes(64, 1) })
      } else {
        try {
          client.link.sendControl(draw(random))
        } catch (cause) {
          // The client's own link may refuse to encode a message; what it does encode must not harm the relay.
          if (!(cause instanceof Error) || !('code' in cause)) throw cause
        }
        world.settle()
      }
      if (dice > 0.995) world.changeUsers((entries) => entries.map((entry) => ({ ...entry, revoked: random() < 0.2 })))
    }
    // The draw is worth something only if much of it comes through.
    expect(world.machine.stats().answers.connected).toBeGreaterThan(0)
    for (const client of [...world.clients.values()]) client.drop()
    world.pass(5000)
    expect(world.machine.stats()).toMatchObject({
      attachments: {},
      unauthenticated: 0,
      users: 0,
      listens: 0,
      heldRequests: 0,
      pendingJoins: 0,
      circuits: 0,
      queuedBytes: 0,
      promisedBytes: 0,
      waitingCircuits: 0,
    })
    expect(world.machine.wakeAtMs()).toBeUndefined()
  })
})
