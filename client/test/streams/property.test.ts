import { describe, expect, it } from 'vitest'
import { ProcessBudget, type StreamSet } from '../../src/core/streams/index.ts'
import { type Direction, isKey, keyBytes, pair, seeded } from './pipe.ts'

/** What one end means to do and has seen on one stream or as messages. */
interface Plan {
  toWrite: number
  written: number
  finished: boolean
  read: number
  peerFinished: boolean
}

interface MessagePlan {
  sizes: number[]
  offered: number
  taken: number
  delivered: number
  refused: number
}

/** One random run; ends or throws. Everything is drawn from the seed. */
function run(seed: number): { steps: number; bytes: number } {
  const random = seeded(seed)
  const below = (n: number): number => Math.floor(random() * n)
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!
  const budget = random() < 0.5 ? new ProcessBudget(pick([0, 10_000, 300_000, 8_000_000])) : undefined
  const options = {
    receiveBudgetBytes: pick([0, 1, 50_000, 400_000, 4_000_000]),
    maxMessageBytes: pick([100, 5_000, 70_000, 1_000_000]),
    streamsMax: pick([1, 3, 20]),
    windowBytes: pick([1, 16_384, 50_000, 16_777_216]),
    ...(budget === undefined ? {} : { budget }),
  }
  const { a, b, ab, ba } = pair(options)
  const sets = [a, b] as const
  const directions: readonly Direction[] = [ab, ba]
  const duplicates = pick([0, 0.1, 0.5])
  const packetBytes = pick([60, 300, 1_200, 16_000, 65_000])
  const readChance = pick([0.05, 0.3, 1])
  const sizeScale = packetBytes <= 300 ? 0.02 : packetBytes <= 1_200 ? 0.2 : 1
  const streamsToOpen = below(12)
  const opened: [number, number] = [0, 0]
  const plans: [Map<number, Plan>, Map<number, Plan>] = [new Map(), new Map()]
  const done: [Set<number>, Set<number>] = [new Set(), new Set()]
  const size = (): number => Math.floor(pick([0, 1, 100, 16_384, 20_000, 65_536, 200_000, 600_000]) * sizeScale * (0.5 + random()))
  const messagePlan = (): MessagePlan => ({
    sizes: Array.from({ length: below(30) }, () => Math.min(options.maxMessageBytes, random() < 0.7 ? below(300) : size())),
    offered: 0,
    taken: 0,
    delivered: -1,
    refused: 0,
  })
  const messages = [messagePlan(), messagePlan()] as const
  const newPlan = (): Plan => ({ toWrite: size(), written: 0, finished: false, read: 0, peerFinished: false })
  // The bytes of stream s from end e have key s * 2 + e; messages from e have key 1_000_000 + index * 2 + e.

  const act = (end: 0 | 1): void => {
    const set = sets[end]
    const mine = plans[end]
    if (opened[end] < streamsToOpen && random() < 0.2) {
      try {
        const id = set.open(keyBytes(end, 0, below(40)))
        mine.set(id, newPlan())
        opened[end]++
      } catch (error) {
        expect((error as { code: string }).code).toBe('too_many_streams')
      }
    }
    for (const [id, plan] of mine) {
      if (plan.written < plan.toWrite && random() < 0.7) {
        const want = Math.min(plan.toWrite - plan.written, 1 + below(pick([10, 3_000, 100_000])))
        plan.written += set.write(id, keyBytes(id * 2 + end, plan.written, want))
      }
      if (plan.written === plan.toWrite && !plan.finished) {
        set.finish(id)
        plan.finished = true
      }
      if (random() < readChance) {
        for (const piece of set.read(id, random() < 0.5 ? undefined : 1 + below(5_000))) {
          expect(isKey(piece, id * 2 + (1 - end), plan.read)).toBe(true)
          plan.read += piece.length
        }
      }
    }
    const out = messages[end]
    if (out.offered < out.sizes.length && !set.messageQueueFull() && random() < 0.5) {
      const index = set.offerMessage(keyBytes(1_000_000 + out.offered * 2 + end, 0, out.sizes[out.offered]!), { reportDelivery: true })
      expect(index).toBe(out.offered++)
    }
    const incoming = messages[end === 0 ? 1 : 0]
    if (random() < readChance) {
      const message = set.takeMessage()
      if (message !== undefined) {
        expect(message.length).toBe(incoming.sizes[incoming.taken])
        expect(isKey(message, 1_000_000 + incoming.taken * 2 + (1 - end), 0)).toBe(true)
        incoming.taken++
      }
    }
    for (let event = set.poll(); event !== undefined; event = set.poll()) {
      if (event.type === 'streamOpened') {
        expect(mine.has(event.streamId)).toBe(false)
        mine.set(event.streamId, newPlan())
      } else if (event.type === 'finished') {
        mine.get(event.streamId)!.peerFinished = true
      } else if (event.type === 'streamDone') {
        expect(done[end].has(event.streamId)).toBe(false)
        done[end].add(event.streamId)
      } else if (event.type === 'messageDelivered') {
        expect(event.index).toBeGreaterThan(out.delivered)
        expect(event.index).toBeLessThan(out.taken)
        out.delivered = event.index
      } else if (event.type === 'reset' || event.type === 'stopped') {
        throw new Error(`unexpected ${event.type}`)
      }
    }
  }

  const finishedAll = (): boolean =>
    ([0, 1] as const).every(
      (end) =>
        opened[end] === streamsToOpen &&
        messages[end].taken === messages[end].sizes.length &&
        messages[end].delivered === messages[end].sizes.length - 1 &&
        [...plans[end].keys()].every((id) => done[end].has(id)),
    )

  let steps = 0
  const stepsMax = 400_000
  while (!finishedAll()) {
    if (++steps > stepsMax) throw new Error(`seed ${seed}: no end after ${stepsMax} steps: ${JSON.stringify([a.counts(), b.counts()])}`)
    act(random() < 0.5 ? 0 : 1)
    const direction = pick(directions)
    direction.pull(packetBytes, 1 + below(4))
    for (let i = below(4); i > 0 && direction.inFlight.length > 0; i--) {
      direction.deliver(below(direction.inFlight.length), random() < duplicates)
    }
  }
  let bytes = 0
  for (const end of [0, 1] as const) {
    const peer = end === 0 ? 1 : 0
    expect(plans[end].size).toBe(streamsToOpen * 2)
    for (const [id, plan] of plans[end]) {
      expect(plan.peerFinished).toBe(true)
      expect(plan.read).toBe(plans[peer].get(id)!.toWrite)
      bytes += plan.read
    }
  }
  // Late copies of anything are harmless, and all that is left to say is acked.
  for (const direction of directions) {
    while (direction.inFlight.length > 0) direction.deliver(0)
  }
  for (const set of sets) {
    expect(set.unackedBytes()).toBe(0)
    expect(set.counts()).toHaveLength(1)
    set.release()
  }
  if (budget !== undefined) expect(budget.usedBytes).toBe(0)
  return { steps, bytes }
}

/** Streams also end badly here: resets and stops at random times. Nothing wrong may be read, and both ends must forget every stream. */
function runWithEnds(seed: number): void {
  const random = seeded(seed)
  const below = (n: number): number => Math.floor(random() * n)
  const { a, b, ab, ba } = pair({ receiveBudgetBytes: 200_000, streamsMax: 8 })
  const sets: readonly StreamSet[] = [a, b]
  const live: [Map<number, { written: number; read: number }>, Map<number, { written: number; read: number }>] = [new Map(), new Map()]
  let opened = 0
  const act = (end: 0 | 1): void => {
    const set = sets[end]!
    if (opened < 60 && random() < 0.3) {
      try {
        live[end].set(set.open(), { written: 0, read: 0 })
        opened++
      } catch (error) {
        expect((error as { code: string }).code).toBe('too_many_streams')
      }
    }
    for (const [id, state] of live[end]) {
      const roll = random()
      if (roll < 0.6) {
        try {
          state.written += set.write(id, keyBytes(id * 2 + end, state.written, below(9_000)))
        } catch (error) {
          expect((error as { code: string }).code).toBe('stream_closed')
        }
      } else if (roll < 0.68) set.finish(id)
      else if (roll < 0.71) set.reset(id, below(9))
      else if (roll < 0.74) set.stop(id, below(9))
      for (const piece of set.read(id, 1 + below(20_000))) {
        expect(isKey(piece, id * 2 + (1 - end), state.read)).toBe(true)
        state.read += piece.length
      }
    }
    for (let event = set.poll(); event !== undefined; event = set.poll()) {
      if (event.type === 'streamOpened') live[end].set(event.streamId, { written: 0, read: 0 })
      if (event.type === 'streamDone') expect(live[end].delete(event.streamId)).toBe(true)
      if (event.type === 'stopped' || event.type === 'reset') expect(event.errorCode).toBeLessThan(9)
    }
  }
  for (let steps = 0; opened < 60 || live[0].size + live[1].size > 0; steps++) {
    if (steps > 200_000) throw new Error(`seed ${seed}: no end: ${JSON.stringify([a.counts(), b.counts()])}`)
    act(random() < 0.5 ? 0 : 1)
    const direction = random() < 0.5 ? ab : ba
    direction.pull(1_000 + below(5_000), 3)
    for (let i = below(5); i > 0 && direction.inFlight.length > 0; i--) direction.deliver(below(direction.inFlight.length), random() < 0.2)
  }
}

describe('two stream sets over a pipe that shuffles and duplicates', () => {
  it('always end with every byte in place, whatever the sizes, budgets and readers', () => {
    let bytes = 0
    for (let seed = 1; seed <= 60; seed++) bytes += run(seed).bytes
    expect(bytes).toBeGreaterThan(5_000_000)
  })

  it('forget every stream however it ends, and never refuse an honest one', () => {
    for (let seed = 1; seed <= 40; seed++) runWithEnds(seed)
  })
})
