import { describe, expect, it } from 'vitest'
import { Line, type LineItem, type LineRule } from '../../src/virtual/line.ts'
import { Link } from '../../src/virtual/link.ts'
import { World } from '../../src/virtual/world.ts'

const plain: LineRule = { latencyMs: 10, jitterMs: 0, bytesPerMs: Number.POSITIVE_INFINITY, held: false, corruptOneIn: 0 }

/** A line, what came out of it and when. */
function pipe(rule: Partial<LineRule> = {}, options: { capacityBytes?: number; cutShare?: number; reads?: () => boolean } = {}) {
  const world = new World({ seed: 7 })
  const state = { rule: { ...plain, ...rule }, drained: 0, out: [] as { atMs: number; item: LineItem }[] }
  const line = new Line({
    world,
    rule: () => state.rule,
    ends: {
      reads: options.reads ?? (() => true),
      take: (item) => void state.out.push({ atMs: world.nowMs, item }),
      drained: () => {
        state.drained += 1
      },
    },
    capacityBytes: options.capacityBytes ?? 1_000,
    cutShare: options.cutShare ?? 0,
  })
  const run = (untilMs: number): void => {
    while (world.step(untilMs));
  }
  const bytes = (): number[] => state.out.flatMap(({ item }) => (item.type === 'bytes' ? [...item.bytes] : []))
  return { world, line, state, run, bytes }
}

const numbered = (from: number, count: number): Uint8Array => Uint8Array.from({ length: count }, (_, index) => (from + index) % 256)

describe('a line', () => {
  it('delivers after its latency, and in order whatever the jitter', () => {
    const { line, state, run, bytes } = pipe({ jitterMs: 30 })
    for (let at = 0; at < 50; at++) line.write(numbered(at * 3, 3))
    line.put({ type: 'end', code: 'connection_closed' }, 0)
    run(200)
    expect(bytes()).toEqual([...numbered(0, 150)])
    expect(state.out[0]!.atMs).toBeGreaterThanOrEqual(10)
    expect(state.out.at(-1)?.item).toEqual({ type: 'end', code: 'connection_closed' })
  })

  it('takes the time that its bandwidth asks for', () => {
    const { line, state, run } = pipe({ bytesPerMs: 10 })
    line.write(numbered(0, 100))
    line.write(numbered(0, 100))
    run(200)
    expect(state.out.map(({ atMs }) => atMs)).toEqual([20, 30])
  })

  it('says that it is full, and when there is room again', () => {
    const { line, state, run } = pipe({}, { capacityBytes: 100 })
    expect(line.write(numbered(0, 80))).toBe(true)
    expect(line.write(numbered(0, 80))).toBe(false)
    run(50)
    expect(state.drained).toBe(1)
    expect(line.write(numbered(0, 80))).toBe(true)
  })

  it('holds what a partition or a stopped reader keeps back, and loses none of it', () => {
    let reads = true
    const { line, state, run, bytes } = pipe({}, { reads: () => reads })
    state.rule = { ...plain, held: true }
    line.write(numbered(0, 10))
    run(500)
    expect(bytes()).toEqual([])
    state.rule = plain
    reads = false
    line.pump()
    expect(bytes()).toEqual([])
    reads = true
    line.pump()
    expect(bytes()).toEqual([...numbered(0, 10)])
  })

  it('cuts what was written anywhere, without a change of the bytes', () => {
    const { line, state, run, bytes } = pipe({}, { cutShare: 1 })
    for (let at = 0; at < 20; at++) line.write(numbered(at * 10, 10))
    run(500)
    expect(bytes()).toEqual([...numbered(0, 200)])
    expect(state.out.length).toBeGreaterThan(20)
  })

  it('flips bits at the rate it was told', () => {
    const { line, run, bytes } = pipe({ corruptOneIn: 100 }, { capacityBytes: 1e9 })
    for (let at = 0; at < 100; at++) line.write(new Uint8Array(1_000))
    run(500)
    const wrong = bytes().filter((byte) => byte !== 0)
    expect(wrong.length).toBeGreaterThan(700)
    expect(wrong.length).toBeLessThan(1_300)
    expect(wrong.every((byte) => Number.isInteger(Math.log2(byte)))).toBe(true)
  })
})

describe('a link', () => {
  const nature = {
    latencyMs: 5,
    jitterMs: 0,
    bytesPerMs: Number.POSITIVE_INFINITY,
    capacityBytes: 1_000,
    cutShare: 0,
    dialFailShare: 0,
  }

  it('adds up its faults and is as before when they are healed', () => {
    const link = new Link(new World({ seed: 1 }), 'alice', 'r1', nature)
    link.apply('slow', { latencyMs: 20, directions: ['up'] })
    link.apply('slower', { latencyMs: 5, corruptOneIn: 50 })
    link.apply('hole', { held: true, directions: ['down'] })
    expect(link.rules.up).toEqual({ latencyMs: 30, jitterMs: 0, bytesPerMs: Number.POSITIVE_INFINITY, held: false, corruptOneIn: 50 })
    expect(link.rules.down).toEqual({ latencyMs: 10, jitterMs: 0, bytesPerMs: Number.POSITIVE_INFINITY, held: true, corruptOneIn: 50 })
    for (const name of ['slow', 'slower', 'hole']) expect(link.heal(name)).toBe(true)
    expect(link.heal('hole')).toBe(false)
    expect(link.rules.up).toEqual(link.rules.down)
    expect(link.rules.up.latencyMs).toBe(5)
  })
})
