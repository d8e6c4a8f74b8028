import { afterEach, describe, expect, it } from 'vitest'
import { SendBuffer } from '../../src/core/connection/send-buffer.ts'
import { parsePaths, pathsWanted } from '../../src/core/paths/index.ts'
import { generator, type Side, World, type WorldOptions } from './world.ts'

/** Seeds of one run; more by hand: `SENNIT_SEEDS=5000 npx vitest run client/test/connection/worlds.test.ts`. */
const seeds = Number(process.env.SENNIT_SEEDS ?? 300)
const firstSeed = Number(process.env.SENNIT_FIRST_SEED ?? 1)

/** Anything may fail until then; afterwards all is healed. */
const faultsUntilMs = 20_000
/** After the heal everything must arrive within this: dead probes back off to seconds, joins are retried each five. */
const convergeMs = 60_000

/** Ways to use the relays that plans of a seed may take. */
const ways = ['best', 'pair', 'rotate(300ms)', 'rotate(secret,500ms)', 'spread', 'mirror(2)', 'mirror(3)', 'split(2)', 'disperse(2,3)']

/** A world with random links, load and faults. @param modes plans also say how relays are used, each direction on its own */
function wildWorld(seed: number, more: Partial<WorldOptions> = {}, modes = false): World {
  const random = generator(seed * 7_919)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  const between = (low: number, high: number): number => low + random() * (high - low)
  const scale = pick([0.3, 2, 10, 40])
  const world = new World({
    seed,
    relays: { r1: between(0.2, 2) * scale, r2: between(0.2, 2) * scale, r3: between(0.2, 3) * scale },
    openFirst: pick([['r1'], ['r1', 'r2'], ['r1', 'r2', 'r3']]),
    creditBytes: pick([65_536 + 16_384, 262_144, 1_048_576]),
    ...more,
    tuning: { epochMs: pick([120_000, 300, 2_000]), epochPackets: pick([2 ** 20, 10]), ...more.tuning },
  })
  for (const relay of world.relays.values()) {
    relay.jitterMs = pick([0, 0.5, 10])
    relay.duplicates = pick([0, 0, 0.05])
    relay.corrupts = pick([0, 0, 0, 0.002])
  }
  const relayIds = [...world.relays.keys()]
  const direction = pick(['caller', 'listener', 'both', 'both'])
  for (const side of [0, 1] as const) {
    if (direction === (side === 0 ? 'listener' : 'caller')) continue
    const streamTurnBytes = pick([100, 1_500, 50_000])
    world.start(side, {
      messages: Math.floor(between(100, 1_000)),
      messageBytes: pick([
        [1, 200],
        [10, 5_000],
        [1_000, 60_000],
      ] as const),
      streams: Math.floor(between(0, 4)),
      streamBytes: Math.floor(between(1, Math.min(400_000, 400 * streamTurnBytes))),
      streamTurnBytes,
      everyMs: pick([2, 20, 50]),
      perTurn: pick([1, 2, 20]),
    })
    if (random() < 0.25) world.readSlowly(side === 0 ? 1 : 0, 20_000, 20)
  }
  let epoch = 0
  const plan = (): void => {
    epoch += 1
    const order = [...relayIds].sort(() => random() - 0.5)
    const other = random() < 0.2 ? order[1]! : order[0]!
    world.note(`plan ${order.join(' ')}, back by ${other}`)
    const plain = { epoch, order, activeSend: order[0]!, activeReceive: other, standby: order[1]! }
    if (!modes) {
      world.usePlan(plain)
      return
    }
    const [send, receive] = [parsePaths(pick(ways)).send, parsePaths(pick(ways)).receive]
    const sets = { sendRelays: order.slice(0, pathsWanted(send)), receiveRelays: order.slice(0, pathsWanted(receive)) }
    world.note(`modes ${JSON.stringify(send)} ${JSON.stringify(receive)}`)
    world.usePlan({ ...plain, modes: { send, receive, whenShort: 'wait', ...sets } })
  }

  const strike = (): void => {
    if (world.nowMs > faultsUntilMs) return
    const relayId = pick(relayIds)
    const side = pick([0, 1] as const)
    const forMs = pick([5, 100, 600, 2_000, 8_000])
    const fault = pick(['kill', 'kill', 'freeze', 'freeze', 'one_way', 'slow', 'wait', 'pause', 'all', 'flap', 'plan', 'plan'])
    world.note(`${fault} ${relayId} ${side} ${forMs}`)
    const relay = world.relay(relayId)
    const heal = (): void => {
      world.note(`heal ${fault} ${relayId}`)
      world.revive(relayId)
      world.thaw(relayId)
      world.block(relayId, side, false)
      if (relay.waits) world.wait(relayId, false)
    }
    if (fault === 'kill') world.kill(relayId)
    else if (fault === 'freeze') world.freeze(relayId)
    else if (fault === 'one_way') world.block(relayId, side, true)
    else if (fault === 'wait') world.wait(relayId, true)
    else if (fault === 'pause') world.pause(side, forMs)
    else if (fault === 'plan') plan()
    else if (fault === 'slow') {
      relay.latencyMs += 300
      world.after(forMs, () => {
        relay.latencyMs -= 300
      })
    } else if (fault === 'flap') {
      for (let flips = 0; flips < 4; flips += 1) {
        world.after(flips * 2_000, () => world.freeze(relayId))
        world.after(flips * 2_000 + 1_000, () => world.thaw(relayId))
      }
    } else {
      for (const id of relayIds) random() < 0.5 ? world.kill(id) : world.freeze(id)
      world.after(forMs, () => {
        for (const id of relayIds) {
          world.revive(id)
          world.thaw(id)
        }
      })
    }
    world.after(forMs, heal)
    world.after(between(50, 3_000), strike)
  }
  world.after(between(0, 300), strike)
  if (modes) plan()
  return world
}

function heal(world: World): void {
  for (const relayId of world.relays.keys()) {
    world.revive(relayId)
    world.thaw(relayId)
    world.block(relayId, 0, false)
    world.block(relayId, 1, false)
    world.wait(relayId, false)
    world.relay(relayId).corrupts = 0
  }
}

/** Runs the faults, heals, waits for everything to arrive, closes. */
function live(world: World): void {
  world.run(faultsUntilMs + 10_000)
  heal(world)
  world.note('healed')
  world.run(world.nowMs + convergeMs, () => world.settled())
  for (const end of world.ends)
    if (end.closed !== undefined) world.fail(`side ${end.side} closed: ${end.closed.code}: ${end.closed.message}`)
  if (!world.settled()) world.fail(`not everything arrived: ${world.describe()}`)
  const closer = (world.random() < 0.5 ? 0 : 1) as Side
  world.input(closer, () => world.ends[closer].machine.close(world.nowMs, 'closed', 'done'))
  world.run(world.nowMs + 30_000, () => world.ends.every((end) => end.closed !== undefined))
  const codes = world.ends.map((end) => end.closed?.code)
  const expected = closer === 0 ? ['closed', 'peer_closed'] : ['peer_closed', 'closed']
  if (codes.join() !== expected.join()) world.fail(`expected ${expected}, found ${codes}`)
}

describe('worlds', () => {
  const perTest = 25
  for (let from = firstSeed; from < firstSeed + seeds; from += perTest) {
    const to = Math.min(from + perTest, firstSeed + seeds)
    it(`seeds ${from} to ${to - 1}: every byte once, in order, and all of them`, () => {
      for (let seed = from; seed < to; seed += 1) live(wildWorld(seed))
    }, 60_000)
  }

  // A third as many: what the modes add to a world is in the plans, the faults are the same.
  for (let from = firstSeed; from < firstSeed + seeds / 3; from += perTest) {
    const to = Math.min(from + perTest, Math.ceil(firstSeed + seeds / 3))
    it(`seeds ${from} to ${to - 1}, in every way to use relays: the same`, () => {
      for (let seed = from; seed < to; seed += 1) live(wildWorld(seed, {}, true))
    }, 60_000)
  }

  const honestAcknowledge = SendBuffer.prototype.acknowledge

  afterEach(() => {
    SendBuffer.prototype.acknowledge = honestAcknowledge
  })

  it('catch an ack that frees early', () => {
    SendBuffer.prototype.acknowledge = function acknowledge(ack, onAcked) {
      honestAcknowledge.call(this, { cumulative: Math.min(ack.cumulative + 1, this.next), ranges: [] }, onAcked)
    }
    let caught = 0
    for (let seed = 1; seed <= 8; seed += 1) {
      try {
        live(wildWorld(seed))
      } catch (error) {
        if (/not everything arrived/.test(String(error))) caught += 1
        else throw error
      }
    }
    expect(caught).toBeGreaterThan(0)
  }, 60_000)

  it('are the same each time', () => {
    const digest = (): string => {
      const world = wildWorld(4)
      live(world)
      return `${world.packets} ${world.log.join('\n')}`
    }
    expect(digest()).toBe(digest())
  })
})
