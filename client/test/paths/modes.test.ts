import type { Frame } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { parsePaths, pathsWanted } from '../../src/core/paths/index.ts'
import { type Side, World, type WorldOptions } from '../connection/world.ts'

const loopback = { seed: 1, relays: { r1: 0.3, r2: 0.4, r3: 0.5, r4: 0.6 }, openFirst: ['r1', 'r2', 'r3', 'r4'] } as const
/** Traffic at 1 000 messages a second for about three seconds. */
const flow = { messages: 3_000, messageBytes: [100, 100], perTurn: 1, everyMs: 1 } as const
const both: readonly Side[] = [0, 1]

/** A world whose ends agreed on these ways. */
function worldOf(text: string, options: Partial<WorldOptions> = {}): World {
  const paths = parsePaths(text)
  const world = new World({ ...loopback, paths, ...options })
  const order = [...world.relays.keys()]
  const { send, receive, whenShort } = paths
  world.usePlan({
    epoch: 1,
    order,
    activeSend: order[0]!,
    activeReceive: receive.kind === 'pair' ? order[1]! : order[0]!,
    standby: order.at(-1)!,
    modes: {
      send,
      receive,
      whenShort,
      sendRelays: send.kind === 'pair' ? order.slice(0, 1) : order.slice(0, pathsWanted(send)),
      receiveRelays: receive.kind === 'pair' ? order.slice(1, 2) : order.slice(0, pathsWanted(receive)),
    },
  })
  return world
}

/** Runs a flow with a fault one second in: the longest wait for a message at the receiving sides. */
function stallOf(text: string, fault: (world: World) => void, options: Partial<WorldOptions> = {}): { world: World; stallMs: number } {
  const world = worldOf(text, options)
  for (const side of both) world.start(side, flow)
  world.run(1_000)
  fault(world)
  world.run(60_000, () => world.settled())
  if (!world.settled()) world.fail(`not settled: ${world.describe()}`)
  return { world, stallMs: Math.max(...world.ends.map((end) => end.longestGapMs)) }
}

describe('mirror(2)', () => {
  it.each([
    ['the kill of one relay', (w: World) => w.kill('r1')],
    ['the kill of the other', (w: World) => w.kill('r2')],
    ['the freeze of one relay', (w: World) => w.freeze('r1')],
    ['the freeze of the other', (w: World) => w.freeze('r2')],
    ['the death of one direction', (w: World) => w.block('r1', 0, true)],
  ])('does not feel %s', (_name, fault) => {
    // A message comes each millisecond; the copy comes 0.1 ms later than the first one would have.
    expect(stallOf('mirror(2)', fault).stallMs).toBeLessThan(3)
  })

  it('replaces a dead path by another one', () => {
    const { world } = stallOf('mirror(2)', (w) => w.freeze('r1'))
    const used = world.ends[0].machine
      .status()
      .paths.filter((path) => path.state === 'open')
      .map((path) => path.relayId)
    expect(used).not.toContain('r1')
    expect(world.ends[0].machine.status().short).toBe(false)
  })

  it('sends every packet twice, drops the second copy silently and acks in proportion', () => {
    const world = worldOf('mirror(2)')
    world.start(0, flow)
    world.run(60_000, () => world.settled())
    const [caller, listener] = world.ends.map((end) => end.machine.status())
    expect(caller!.sendsOver).toEqual(['r1', 'r2'])
    expect(listener!.kept.duplicates).toBeGreaterThan(0.95 * caller!.kept.sent)
    expect(caller!.kept.resent).toBe(0)
    // Two copies of each packet out; acks back on both paths, one for two packets.
    expect(world.packets).toBeLessThan(3.6 * caller!.kept.sent)
  })

  it('repeats packets and does not share them out, when both paths are full', () => {
    const bulk = { streams: 1, streamBytes: 4_000_000, streamTurnBytes: 1_000_000 }
    const alone = timeOf('best', { r1: 2_000 }, bulk)
    const mirrored = timeOf('mirror(2)', { r1: 2_000, r2: 2_000 }, bulk)
    expect(mirrored).toBeGreaterThan(0.9 * alone)
    expect(mirrored).toBeLessThan(1.1 * alone)
  })

  it('is not held up by a path that is ten times slower', () => {
    const bulk = { streams: 1, streamBytes: 4_000_000, streamTurnBytes: 1_000_000 }
    const alone = timeOf('best', { r1: 2_000 }, bulk)
    const mirrored = timeOf('mirror(2)', { r1: 2_000, r2: 200 }, bulk)
    expect(mirrored).toBeLessThan(1.05 * alone)
  })
})

describe('pair', () => {
  it('has a relay for each direction, and moves only the one that failed', () => {
    const world = worldOf('pair')
    for (const side of both) world.start(side, flow)
    world.run(1_000)
    expect(world.ends.map((end) => end.machine.status().active.send)).toEqual(['r1', 'r2'])
    expect(world.ends.map((end) => end.machine.status().sendsOver)).toEqual([['r1'], ['r2']])
    world.kill('r2')
    world.run(60_000, () => world.settled())
    expect(world.settled()).toBe(true)
    expect(world.ends.map((end) => end.machine.status().active.send)).toEqual(['r1', 'r4'])
    expect(world.ends.map((end) => end.machine.status().failovers)).toEqual([0, 1])
  })
})

describe('spread', () => {
  const bulk = { streams: 1, streamBytes: 20_000_000, streamTurnBytes: 4_000_000 }

  it('carries at least 1.6 times as much over two equal paths as over one', () => {
    const one = timeOf('best', { r1: 2_000 }, bulk)
    const two = timeOf('spread', { r1: 2_000, r2: 2_000 }, bulk)
    expect(one / two).toBeGreaterThan(1.6)
  })

  it.each([
    ['of a tenth of the rate', 5],
    ['of a tenth of the rate and ten times the latency', 50],
  ])('loses at most 5 %% to a path %s', (_name, latencyMs) => {
    const one = timeOf('best', { r1: 2_000 }, bulk)
    const two = timeOf('spread', { r1: 2_000, r2: 200 }, bulk, { r1: 5, r2: latencyMs })
    expect(two / one).toBeLessThan(1.05)
  })

  it.each(['r1', 'r2'])('survives the freeze of %s like best does', (relayId) => {
    expect(stallOf('spread', (w) => w.freeze(relayId)).stallMs).toBeLessThan(300)
  })
})

describe('rotate', () => {
  it.each(['rotate(200ms)', 'rotate(random,200ms)', 'rotate(secret,200ms)'])(
    '%s moves without a pause, and every relay sees a part',
    (text) => {
      const { world, stallMs } = stallOf(text, () => {})
      expect(stallMs).toBeLessThan(3)
      const seen = world.ends[0].machine.status().relayBytesSeen
      const total = Object.values(seen).reduce((sum, bytes) => sum + bytes, 0)
      for (const bytes of Object.values(seen)) expect(bytes / total).toBeLessThan(0.6)
      expect(world.ends[0].machine.status().failovers).toBe(0)
    },
  )

  it('leaves a relay that freezes, and goes on rotating', () => {
    expect(stallOf('rotate(secret,200ms)', (w) => w.freeze('r2')).stallMs).toBeLessThan(300)
  })
})

describe.each(['split(2)', 'disperse(2,3)'])('%s', (text) => {
  it('never shows a relay a whole packet of data', () => {
    const { world } = stallOf(text, () => {})
    for (const relay of world.relays.values()) expect(relay.sawWhole).toBe(0)
    expect([...world.relays.values()].filter((relay) => relay.sawShares > 0).length).toBeGreaterThanOrEqual(
      pathsWanted(parsePaths(text).send),
    )
  })

  it('keeps shares in different failure domains, or waits', () => {
    const failureDomains = { r1: 'a', r2: 'a', r3: 'a', r4: 'a' }
    const world = worldOf(text, { failureDomains })
    world.start(0, flow)
    world.run(5_000)
    expect(world.ends[1].messagesGot).toBe(0)
    expect(world.ends[0].events.map(({ event }) => event.type)).toContain('paths_short')
    for (const relay of world.relays.values()) expect(relay.sawWhole).toBe(0)
  })

  it('fails when that is asked for and there are too few relays', () => {
    const world = worldOf(`${text};short=fail`, { openFirst: ['r1'], joins: false })
    world.start(0, flow)
    world.run(20_000)
    expect(world.ends[0].closed?.code).toBe('paths_short')
    expect(world.ends[1].closed?.code).toBe('paths_short')
    expect(world.ends[1].messagesGot).toBe(0)
  })
})

describe('split(2)', () => {
  it('goes on with a fresh cut of what a dead relay had', () => {
    const { world, stallMs } = stallOf('split(2)', (w) => w.kill('r1'))
    expect(stallMs).toBeLessThan(20)
    for (const relay of world.relays.values()) expect(relay.sawWhole).toBe(0)
  })

  it('waits while there is one relay, and goes on when there is another', () => {
    const world = worldOf('split(2)', { openFirst: ['r1'], joins: false })
    world.start(0, flow)
    world.run(15_000)
    expect(world.ends[1].messagesGot).toBe(0)
    expect(world.ends[0].events.map(({ event }) => event)).toContainEqual({ type: 'waiting', why: 'paths' })
    world.join('r3')
    world.run(30_000, () => world.settled())
    expect(world.settled()).toBe(true)
  })
})

describe('split(3) on three relays', () => {
  const three = { relays: { r1: 5, r2: 8, r3: 12 }, openFirst: ['r1', 'r2', 'r3'] } as const
  const judged = (world: World): unknown[] => world.ends.flatMap((end) => end.events.filter(({ event }) => event.type === 'path_bad'))

  it.each([
    ['the relay in use', 'r1'],
    ['another', 'r3'],
  ])('keeps a path that is far slower than the others, when a backlog is poured onto it: %s', (_name, slow) => {
    const world = worldOf('split(3)', three)
    world.relay(slow).bytesPerMs = 40
    world.start(0, { streams: 3, streamBytes: 200_000 })
    world.run(60_000, () => world.settled())
    if (!world.settled()) world.fail(`not settled: ${world.describe()}`)
    expect(judged(world)).toEqual([])
    // 600 kB at 40 bytes a millisecond, each byte as good as once.
    expect(world.nowMs).toBeLessThan(1.15 * 15_000)
    expect(world.ends[0].machine.status().kept.resent).toBe(0)
    expect(world.ends[0].machine.status().sendsOver).toEqual(['r1', 'r2', 'r3'])
  })

  it('goes on at once, and sends nothing again, when a frozen relay thaws', () => {
    const world = worldOf('split(3)', three)
    for (const side of both) world.start(side, flow)
    world.run(1_000)
    world.freeze('r2')
    world.run(6_000)
    const got = world.ends[1].messagesGot
    expect(world.ends[0].effects.map(({ effect }) => effect)).toContainEqual({ type: 'wantPaths', why: 'suspect' })
    world.thaw('r2')
    world.run(6_050)
    expect(world.ends[1].messagesGot).toBeGreaterThan(got)
    world.run(60_000, () => world.settled())
    if (!world.settled()) world.fail(`not settled: ${world.describe()}`)
    expect(judged(world)).toEqual([])
    expect(world.ends.map((end) => end.machine.status().kept.resent)).toEqual([0, 0])
  })

  it('gives a frozen relay up at once when both ends know one that could take its place', () => {
    const world = worldOf('split(2)', { relays: { r1: 5, r2: 8, r3: 12 }, openFirst: ['r1', 'r2'], joins: false })
    for (const side of both) world.start(side, flow)
    world.run(1_000)
    world.freeze('r1')
    world.run(1_500)
    expect(judged(world)).not.toEqual([])
  })

  it('keeps both of two that froze at once, and goes on at once when they thaw', () => {
    const world = worldOf('split(2)', { relays: { r1: 5, r2: 8, r3: 12 }, openFirst: ['r1', 'r2', 'r3'] })
    for (const side of both) world.start(side, flow)
    world.run(1_000)
    for (const relayId of ['r1', 'r2']) world.freeze(relayId)
    world.run(5_000)
    const got = world.ends[1].messagesGot
    for (const relayId of ['r1', 'r2']) world.thaw(relayId)
    world.run(5_050)
    expect(world.ends[1].messagesGot).toBeGreaterThan(got)
    world.run(60_000, () => world.settled())
    if (!world.settled()) world.fail(`not settled: ${world.describe()}`)
    expect(judged(world)).toEqual([])
  })

  it('gives up one of two that froze at once, when the other one thaws', () => {
    const world = worldOf('split(2)', { relays: { r1: 5, r2: 8, r3: 12 }, openFirst: ['r1', 'r2', 'r3'] })
    for (const side of both) world.start(side, flow)
    world.run(1_000)
    for (const relayId of ['r1', 'r2']) world.freeze(relayId)
    world.run(3_000)
    world.thaw('r2')
    const got = world.ends[1].messagesGot
    world.run(6_500, () => world.ends[1].messagesGot > got + 100)
    expect(world.ends[1].messagesGot).toBeGreaterThan(got + 100)
  })

  it('keeps a frozen relay whose place only a relay could take that is dead itself, until that is back', () => {
    const world = worldOf('split(2)', { relays: { r1: 5, r2: 8, r3: 12 }, openFirst: ['r1', 'r2'], joins: false })
    for (const end of world.ends) end.machine.relaysKnown(['r1', 'r2'])
    for (const side of both) world.start(side, flow)
    world.run(1_000)
    world.freeze('r1')
    world.run(4_000)
    expect(judged(world)).toEqual([])
    for (const end of world.ends) end.machine.relaysKnown(['r1', 'r2', 'r3'])
    world.run(7_000)
    expect(judged(world)).not.toEqual([])
  })

  it('leaves a frozen relay as soon as there is a fourth', () => {
    const { world, stallMs } = stallOf('split(3)', (w) => w.freeze('r1'), { openFirst: ['r1', 'r2', 'r3'] })
    expect(stallMs).toBeLessThan(800)
    for (const relay of world.relays.values()) expect(relay.sawWhole).toBe(0)
  })
})

// An ack names 32 ranges. What was lost beyond them, and is on no path any more, was never sent again: the streams stood still for ever.
describe('more losses at once than an ack can name', () => {
  it.each(['mirror(2)', 'split(2)', 'disperse(2,3)'])('are all made good: %s', (text) => {
    const relays = { r1: 50, r2: 55, r3: 60 }
    const world = worldOf(text, { seed: 3, relays, openFirst: ['r1', 'r2', 'r3'], joins: false, tuning: { forgedMax: 1e9 } })
    for (const side of both) world.start(side, { ...flow, messages: 2_000, perTurn: 2 })
    world.run(300)
    for (const relay of world.relays.values()) relay.corrupts = 0.6
    world.run(1_000)
    for (const relay of world.relays.values()) relay.corrupts = 0
    world.run(20_000, () => world.settled())
    if (!world.settled()) world.fail(`not settled: ${world.describe()}`)
  })
})

describe('a plan while data waits for relays', () => {
  const frames: readonly Frame[] = [
    { type: 'planModes', epoch: 2, paths: 'split(2)', fromCaller: ['r1', 'r3'], fromListener: ['r1', 'r3'] },
    {
      type: 'plan',
      epoch: 2,
      activeFromCaller: 'r1',
      activeFromListener: 'r1',
      standby: 'r3',
      relays: [{ relayId: 'r1', costMs: 1, callerRttMs: 1, listenerRttMs: 1 }],
    },
  ]
  const say = (world: World): void => {
    world.input(0, () => {
      for (const frame of frames) world.ends[0].machine.sendControlFrame(world.nowMs, frame)
    })
  }
  const heard = (world: World): boolean => world.ends[1].framesGot.some(({ type }) => type === 'plan')

  it('does not wait behind what was lost and waits itself', () => {
    const world = worldOf('split(2)', { openFirst: ['r1', 'r2'], joins: false })
    world.start(0, { ...flow, messages: 20 })
    world.run(10)
    world.kill('r2')
    world.run(1_000)
    expect(world.ends[0].machine.status()).toMatchObject({ short: true, kept: { acked: expect.any(Number) } })
    const { sent, acked } = world.ends[0].machine.status().kept
    expect(acked).toBeLessThan(sent)
    say(world)
    world.run(2_000, () => heard(world))
    expect(world.ends[1].framesGot).toEqual(frames)
  })

  it('is sent again, whole, when the only relay swallowed it', () => {
    const world = worldOf('split(2)', { openFirst: ['r1'], joins: false })
    world.run(1_000)
    world.relay('r1').swallows = 1
    say(world)
    world.run(30_000, () => heard(world))
    expect(world.ends[1].framesGot).toEqual(frames)
  })

  it.each([
    ['begun before', 0],
    ['begun when it is known to be silent', 1_000],
  ])('does not wait for a silent relay that its mode cannot do without: %s', (_name, laterMs) => {
    const world = worldOf('split(2)', { openFirst: ['r1', 'r2'], joins: false })
    world.start(0, flow)
    world.run(1_000)
    world.freeze('r1')
    world.run(world.nowMs + laterMs)
    say(world)
    world.run(world.nowMs + 1_000, () => heard(world))
    expect(world.ends[1].framesGot).toEqual(frames)
  })

  it('is sent again on another path when its own died with it, and data stays where it is', () => {
    const world = worldOf('split(2)', { openFirst: ['r1', 'r2'], joins: false })
    world.start(0, { ...flow, messages: 20 })
    world.run(10)
    world.kill('r2')
    world.run(1_000)
    world.freeze('r1')
    say(world)
    world.run(1_100)
    world.kill('r1')
    world.run(1_200)
    const got = world.ends[1].messagesGot
    world.join('r4')
    world.run(3_000, () => heard(world))
    expect(world.ends[1].framesGot).toEqual(frames)
    expect(world.ends[1].messagesGot).toBe(got)
  })
})

describe('disperse(2,3)', () => {
  it.each([
    ['the kill of a relay', (w: World) => w.kill('r2')],
    ['the freeze of a relay', (w: World) => w.freeze('r1')],
    [
      'a relay that lies',
      (w: World) => {
        w.relay('r3').corrupts = 1
      },
    ],
  ])('does not feel %s', (_name, fault) => {
    expect(stallOf('disperse(2,3)', fault).stallMs).toBeLessThan(3)
  })

  it.each([6_000, 9_000, 20_000])(
    'does not feel the freeze of a relay that has less credit left than a packet needs, of %i bytes',
    (creditBytes) => {
      expect(stallOf('disperse(2,3)', (w) => w.freeze('r1'), { creditBytes }).stallMs).toBeLessThan(3)
    },
  )

  it('names the relay that corrupts to both ends', () => {
    const { world } = stallOf('send=disperse(2,3)', (w) => {
      w.relay('r2').corrupts = 1
    })
    const lies = world.ends.map((end) => end.events.map(({ event }) => event).filter((event) => event.type === 'relay_lies'))
    expect(lies[1]!.some((event) => event.here && event.relayId === 'r2')).toBe(true)
    expect(lies[0]!.some((event) => !event.here && event.relayId === 'r2')).toBe(true)
    expect(new Set([...lies[0]!, ...lies[1]!].map((event) => event.relayId))).toEqual(new Set(['r2']))
  })
})

describe('disperse(2,3) over a slow relay', () => {
  it('is not held up by it when a share is lost elsewhere and its own share waits for a buffer that is full for long', () => {
    const world = worldOf('disperse(2,3)', { openFirst: ['r1', 'r2', 'r3'], joins: false })
    for (const side of both) world.start(side, { ...flow, messages: 2_000 })
    world.run(500)
    world.wait('r3', true)
    world.run(600)
    world.relay('r1').swallows = 1
    world.run(6_000, () => world.settled())
    if (!world.settled()) world.fail(`not settled: ${world.describe()}`)
  })

  it('is not held up by it', () => {
    const bulk = { streams: 1, streamBytes: 4_000_000, streamTurnBytes: 1_000_000 }
    const even = timeOf('disperse(2,3)', { r1: 2_000, r2: 2_000, r3: 2_000 }, bulk)
    const uneven = timeOf('disperse(2,3)', { r1: 2_000, r2: 2_000, r3: 200 }, bulk)
    expect(uneven).toBeLessThan(1.1 * even)
  })
})

describe('datagrams', () => {
  it.each(['best', 'pair', 'rotate(200ms)', 'spread', 'mirror(2)', 'split(2)', 'disperse(2,3)'])(
    '%s: each arrives once, and never whole where shares are asked for',
    (text) => {
      const world = worldOf(text)
      world.run(500)
      const sent = 200
      for (let number = 0; number < sent; number += 1) {
        world.input(0, () => expect(world.ends[0].machine.sendDatagram(world.nowMs, new Uint8Array(1_000).fill(number))).toBe(true))
        world.run(world.nowMs + 5)
      }
      world.run(world.nowMs + 500)
      const got = world.ends[1].datagramsGot.map((data) => data[0]!)
      expect(got).toEqual(Array.from({ length: sent }, (_, number) => number % 256))
      if (text.startsWith('split') || text.startsWith('disperse')) for (const relay of world.relays.values()) expect(relay.sawWhole).toBe(0)
    },
  )

  it('mirror(2): none is lost when a relay freezes', () => {
    const world = worldOf('mirror(2)')
    world.run(500)
    for (let number = 0; number < 200; number += 1) {
      if (number === 100) world.freeze('r1')
      world.input(0, () => world.ends[0].machine.sendDatagram(world.nowMs, new Uint8Array(100).fill(number)))
      world.run(world.nowMs + 5)
    }
    expect(world.ends[1].datagramsGot).toHaveLength(200)
  })

  it('split(2): dropped while there are too few relays', () => {
    const world = worldOf('split(2)', { openFirst: ['r1'], joins: false })
    world.run(500)
    world.input(0, () => expect(world.ends[0].machine.sendDatagram(world.nowMs, new Uint8Array(100))).toBe(false))
  })
})

describe('a mode that the other end does not know', () => {
  it.each(['mirror(2)', 'split(2)'])('%s: waits, and never goes on as best', (text) => {
    const world = worldOf('best')
    for (const side of both) world.start(side, flow)
    world.run(500)
    const { send, receive } = parsePaths(text)
    const order = [...world.relays.keys()]
    const modes = { send, receive, whenShort: 'wait', sendRelays: order, receiveRelays: order, unknown: true } as const
    world.usePlan({ epoch: 2, order, activeSend: 'r1', activeReceive: 'r1', standby: 'r2', modes })
    world.run(1_000)
    const before = world.ends.map((end) => end.messagesGot)
    world.run(15_000)
    expect(world.ends.map((end) => end.messagesGot)).toEqual(before)
    world.usePlan({ epoch: 3, order, activeSend: 'r1', activeReceive: 'r1', standby: 'r2' })
    world.run(60_000, () => world.settled())
    expect(world.settled()).toBe(true)
  })
})

describe('each direction on its own', () => {
  it('mirrors one way and disperses the other', () => {
    const { world, stallMs } = stallOf('send=mirror(2),receive=disperse(2,3)', (w) => w.freeze('r1'))
    expect(stallMs).toBeLessThan(3)
    expect(world.ends[0].machine.status().kept.duplicates).toBe(0)
  })

  it('changes while it runs, without a loss or a pause', () => {
    const world = worldOf('best')
    for (const side of both) world.start(side, { ...flow, messages: 6_000 })
    const order = [...world.relays.keys()]
    let epoch = 1
    for (const text of ['mirror(2)', 'spread', 'disperse(2,3)', 'rotate(200ms)', 'split(2)', 'pair', 'best']) {
      epoch += 1
      world.run(world.nowMs + 500)
      const { send, receive, whenShort } = parsePaths(text)
      const modes = { send, receive, whenShort, sendRelays: order.slice(0, 3), receiveRelays: order.slice(0, 3) }
      world.usePlan({ epoch, order, activeSend: 'r1', activeReceive: 'r1', standby: 'r4', modes })
    }
    world.run(60_000, () => world.settled())
    if (!world.settled()) world.fail(`not settled: ${world.describe()}`)
    expect(Math.max(...world.ends.map((end) => end.longestGapMs))).toBeLessThan(10)
    expect(world.ends.map((end) => end.machine.status().kept.resent)).toEqual([0, 0])
  })
})

/** Milliseconds that a transfer from the caller takes over relays of these rates (bytes a millisecond). */
function timeOf(
  text: string,
  rates: Readonly<Record<string, number>>,
  traffic: Parameters<World['start']>[1],
  relays: Readonly<Record<string, number>> = Object.fromEntries(Object.keys(rates).map((relayId) => [relayId, 5])),
): number {
  const world = worldOf(text, { relays, openFirst: Object.keys(rates) })
  for (const [relayId, bytesPerMs] of Object.entries(rates)) world.relay(relayId).bytesPerMs = bytesPerMs
  world.run(200)
  const sinceMs = world.nowMs
  world.start(0, traffic)
  world.run(sinceMs + 600_000, () => world.settled())
  if (!world.settled()) world.fail(`not settled: ${world.describe()}`)
  return world.nowMs - sinceMs
}
