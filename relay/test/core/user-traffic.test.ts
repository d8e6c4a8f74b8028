/** What one user may send through a relay in a second and in a day, and what others notice of it: nothing. */
import { describe, expect, it } from 'vitest'
import { pair, type RawClient, World } from './world.ts'

const mib = 1024 * 1024

const lastCredit = (client: RawClient, circuit: number): { limit: number; wait: boolean } | undefined =>
  client.controls.flatMap((message) => (message.type === 'circuitCredit' && message.circuit === circuit ? [message] : [])).at(-1)

/** Sends as much as the credit allows for so long; tells how much got through. */
function flood(world: World, client: RawClient, circuit: number, forMs: number): number {
  let sent = 0
  for (let ms = 0; ms < forMs; ms += 10) {
    const limit = lastCredit(client, circuit)?.limit ?? mib
    while (sent + 65_536 <= limit) {
      client.send(circuit, 65_536)
      sent += 65_536
    }
    world.pass(10)
  }
  return sent
}

describe('a limit of bytes a second', () => {
  it('holds a user near it, by waiting for credit, and is counted', () => {
    const world = new World({ limits: { userBytesPerSecond: mib } })
    const { a, circuitA } = pair(world)
    const sent = flood(world, a, circuitA, 10_000)
    // A second's burst, the first credit, and ten seconds.
    expect(sent).toBeGreaterThan(9 * mib)
    expect(sent).toBeLessThan(14 * mib)
    expect(world.machine.stats().refusals.user_rate).toBeGreaterThan(0)
    expect(world.machine.stats().circuits).toBe(1)
  })

  it('does not hold anybody where there is none', () => {
    const world = new World()
    const { a, circuitA } = pair(world)
    expect(flood(world, a, circuitA, 200)).toBeGreaterThan(5 * mib)
  })
})

describe('a limit of bytes a day', () => {
  it('ends the circuits of whoever is over it, refuses new ones, and is over with the day', () => {
    const world = new World({ limits: { userBytesPerDay: 2 * mib } })
    const { a, b, circuitA } = pair(world)
    flood(world, a, circuitA, 200)
    expect(a.heard('circuitClose')).toMatchObject({ reason: 'limit' })
    expect(b.heard('circuitClose')).toMatchObject({ reason: 'limit' })
    const tag = new Uint8Array(16).fill(5)
    const join = (joinId: number): void => {
      a.say({ type: 'join', joinId, tag, user: 'bob', label: '' })
      b.say({ type: 'join', joinId, tag, user: 'alice', label: '' })
    }
    join(50)
    expect(a.heard('joinRefused')).toMatchObject({ joinId: 50, code: 'limit' })
    expect(world.machine.stats().refusals.user_volume).toBeGreaterThan(1)
    world.nowMs += 86_400_000
    join(51)
    expect(a.heard('joined')).toMatchObject({ joinId: 51 })
  })
})
