/** Two clients with a connection that uses its relays as it was asked to, and what the application feels of a fault. */
import { parsePaths } from '@sennit/client/core'
import { MeshWorld, type WorldClient } from './mesh-world.ts'

const five = ['r1', 'r2', 'r3', 'r4', 'r5']

export interface Pair {
  readonly world: MeshWorld
  readonly alice: WorldClient
  readonly bob: WorldClient
}

/** Alice has called bob, with these wishes. */
export function pairOf(paths: string | undefined, wishes: { relays?: readonly string[]; listener?: string; seed?: number } = {}): Pair {
  const { relays = five, listener, seed = 1 } = wishes
  const world = new MeshWorld({ seed, relays, users: ['alice', 'bob'] })
  const bob = world.client('bob', listener === undefined ? {} : { paths: parsePaths(listener) })
  bob.echoes = true
  bob.listen('chat')
  const alice = world.client('alice')
  world.run(2_000)
  alice.connectTo({ user: 'bob', application: 'chat', ...(paths === undefined ? {} : { paths: parsePaths(paths) }) })
  if (world.runUntil(() => alice.connection !== undefined, 5_000) === undefined) throw new Error('no connection')
  return { world, alice, bob }
}

export function modesOf(client: WorldClient): unknown {
  return client.machine.status().connections[0]?.modes
}

export function openRelays(client: WorldClient): string[] {
  const [connection] = client.machine.status().connections
  return connection!.paths.filter((path) => path.state === 'open').map((path) => path.relay)
}

/** The longest wait for an echo, of a message each 10 ms for `forMs`. */
export function longestEchoMs({ world, alice }: Pair, forMs: number, faultAtMs: number, fault: () => void): number {
  const handle = alice.connection!
  let longest = 0
  let struck = false
  for (let sinceMs = 0, sent = 0; sinceMs < forMs; sinceMs += 10, sent += 1) {
    if (sinceMs >= faultAtMs && !struck) {
      struck = true
      fault()
    }
    const before = alice.received(handle).length
    alice.send(handle, `message ${sent}`)
    const took = world.runUntil(() => alice.received(handle).length > before, 5_000)
    if (took === undefined) throw new Error(`message ${sent} was never answered`)
    longest = Math.max(longest, took)
    world.run(Math.max(0, 10 - took))
  }
  return longest
}
