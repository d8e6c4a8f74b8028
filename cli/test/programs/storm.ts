// A random relay of a mesh is killed and started again, every 3 seconds, for as long as asked.
import type { Mesh } from '../mesh.ts'

const everyMs = 3_000

export interface Storm {
  /** Relays killed so far. */
  readonly kills: readonly string[]
  /** False once its time is over: programs then finish what they do. */
  readonly rages: boolean
  /** Resolves when the last relay is back. */
  readonly over: Promise<void>
}

export function startStorm(mesh: Mesh, seconds: number): Storm {
  const kills: string[] = []
  const relays = mesh.relayIds
  let rages = true
  const run = async (): Promise<void> => {
    const startMs = performance.now()
    // Kills that a slow machine has no time for are left out: the programs wait for the end of the storm, not for a number of kills.
    for (let next = everyMs; next <= seconds * 1_000 && performance.now() < startMs + seconds * 1_000; next += everyMs) {
      await new Promise((done) => setTimeout(done, Math.max(0, startMs + next - performance.now())))
      const relay = relays[Math.floor(Math.random() * relays.length)] as string
      await mesh.killRelay(relay)
      kills.push(relay)
      await mesh.startRelay(relay)
    }
  }
  const over = run().finally(() => {
    rages = false
  })
  return {
    kills,
    over,
    get rages() {
      return rages
    },
  }
}
