// A thousand clients lose one relay at one instant: where they go, and when.
import { describe, expect, it } from 'vitest'
import { MeshWorld, type WorldClient } from './mesh-world.ts'

const relayCount = 12
const pairs = 500
/** Longer than a client may wait before it looks for a spare. */
const watchMs = 12_000
const bucketMs = 250

interface Arrival {
  readonly atMs: number
  readonly relay: string
}

/** Kills the relay with the most clients; arrivals are new attachments, moves are connections that went on elsewhere. */
function stampede(): { clients: number; lost: number; arrivals: Arrival[]; moves: string[]; open: number; survivors: string[] } {
  const relays = Array.from({ length: relayCount }, (_, index) => `r${index + 1}`)
  const users = Array.from({ length: pairs }, (_, index) => [`a${index}`, `b${index}`]).flat()
  const world = new MeshWorld({ relays, users, seed: 7 })
  const callers: WorldClient[] = []
  for (let index = 0; index < pairs; index += 1) {
    world.client(`b${index}`).listen('app')
    callers.push(world.client(`a${index}`))
    // Programs start one after the other; a herd is what happens to those that run.
    world.run(20)
  }
  for (const [index, caller] of callers.entries()) {
    caller.connect(`b${index}`, 'app')
    world.run(10)
  }
  // Every relay of the list was measured by then.
  world.run(60_000)
  const onRelay = (name: string): WorldClient[] =>
    world.clients.filter((client) => client.machine.status().attachments.some(({ relay }) => relay === name))
  const activeAt = (client: WorldClient): string | undefined => client.machine.status().connections[0]?.active.send ?? undefined
  const victim = relays
    .map((name) => ({ name, clients: onRelay(name) }))
    .sort((left, right) => right.clients.length - left.clients.length)[0]!
  const moved = callers.filter((caller) => activeAt(caller) === victim.name)
  const seen = new Map(world.clients.map((client) => [client, client.all('event').length]))
  const killedAtMs = world.nowMs
  const arrivals: Arrival[] = []
  world.relay(victim.name).kill()
  for (let spent = 0; spent < watchMs; spent += bucketMs) {
    world.run(bucketMs)
    for (const client of world.clients) {
      const events = client.all('event')
      for (const { event } of events.slice(seen.get(client)!)) {
        if (event.type === 'attached') arrivals.push({ atMs: world.nowMs - bucketMs - killedAtMs, relay: event.relayId })
      }
      seen.set(client, events.length)
    }
  }
  const moves = moved.map((caller) => activeAt(caller) ?? 'none')
  const open = callers.filter((caller) => caller.machine.status().connections[0]?.state === 'open').length
  return {
    clients: world.clients.length,
    lost: victim.clients.length,
    arrivals,
    moves,
    open,
    survivors: relays.filter((name) => name !== victim.name),
  }
}

function count(values: readonly (string | number)[]): Map<string | number, number> {
  const counts = new Map<string | number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

describe('a relay that dies under a thousand clients', { timeout: 300_000 }, () => {
  it('sends them to all survivors, and over seconds', () => {
    const { clients, lost, arrivals, moves, open, survivors } = stampede()
    const byTime = count(arrivals.map(({ atMs }) => atMs))
    const byRelay = count(arrivals.map(({ relay }) => relay))
    const burst = count(arrivals.map(({ atMs, relay }) => `${relay} ${atMs}`))
    const movesTo = count(moves)
    const lines = [...byTime].sort((left, right) => Number(left[0]) - Number(right[0]))
    console.log(
      [
        `${clients} clients, ${lost} of them on the relay that dies; ${arrivals.length} arrivals at ${byRelay.size} of ${survivors.length} survivors:`,
        ...lines.map(([atMs, n]) => `${String(atMs).padStart(6)} ms ${String(n).padStart(4)} ${'#'.repeat(Math.ceil(n / 4))}`),
        `by relay: ${[...byRelay].map(([relay, n]) => `${relay} ${n}`).join(', ')}`,
        `${moves.length} connections moved: ${[...movesTo].map(([relay, n]) => `${relay} ${n}`).join(', ')}`,
        `most at one survivor within ${bucketMs} ms: ${Math.max(...burst.values())}`,
      ].join('\n'),
    )
    expect(open).toBe(pairs)
    expect(arrivals.length).toBeGreaterThan(100)
    // Even shares would be one in eleven; three times that is no herd.
    const fair = 1 / survivors.length
    expect(Math.max(...byRelay.values()) / arrivals.length).toBeLessThan(3 * fair)
    expect(Math.max(...movesTo.values()) / moves.length).toBeLessThan(4 * fair)
    // Spread over two to five seconds, a quarter second brings a tenth; twice that is no burst.
    expect(Math.max(...byTime.values()) / arrivals.length).toBeLessThan(0.2)
    expect(Math.max(...burst.values())).toBeLessThan(lost / 20)
  })
})
