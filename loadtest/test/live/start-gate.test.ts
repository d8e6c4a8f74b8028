import { expect, test, vi } from 'vitest'
import { StartGate } from '../../src/live/start-gate.ts'

/** A gate, its clock, and clients that ask to begin. */
function fixture() {
  const clock = { nowMs: 0 }
  const gate = new StartGate(() => clock.nowMs)
  const begun: ((attached: boolean) => void)[] = []
  const ask = async (count: number): Promise<void> => {
    for (let asked = 0; asked < count; asked++) void gate.enter().then((left) => begun.push(left))
    await settled()
  }
  const leave = async (count: number, tookMs = 0): Promise<void> => {
    clock.nowMs += tookMs
    for (const left of begun.splice(0, count)) {
      left(true)
      await settled()
    }
  }
  return { clock, gate, begun, ask, leave }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await undefined
}

test('on a machine that keeps up nobody waits, however many begin', async () => {
  const { gate, begun, ask } = fixture()
  gate.loopDelay(20)
  await ask(500)
  expect(begun).toHaveLength(500)
  expect(gate.waiting).toBe(0)
})

test('while the loop is late the next begins when one has ended, in order', async () => {
  const { gate, begun, ask, leave } = fixture()
  gate.loopDelay(80)
  await ask(100)
  expect(begun).toHaveLength(16)
  expect(gate.waiting).toBe(84)
  let left = 0
  for (; begun.length > 0; left++) {
    gate.loopDelay(80)
    expect(begun.length).toBeLessThanOrEqual(17)
    await leave(1, 5)
  }
  expect(left).toBe(100)
  expect(gate.waiting).toBe(0)
})

test('attaches that get slower the more there are wait for each other; a network that is slow for all holds up nobody', async () => {
  const queueing = fixture()
  await queueing.ask(1)
  await queueing.leave(1, 20)
  for (let round = 0; round < 30; round++) {
    await queueing.ask(1)
    await queueing.leave(1, 900)
  }
  await queueing.ask(32)
  expect(queueing.gate.waiting).toBe(16)

  const far = fixture()
  for (let round = 0; round < 30; round++) {
    await far.ask(1)
    await far.leave(1, 900)
  }
  await far.ask(32)
  expect(far.gate.waiting).toBe(0)
})

test('whoever reaches no relay holds up the others for two seconds at most, and says nothing about how long an attach takes', async () => {
  vi.useFakeTimers()
  try {
    const { gate, begun, ask } = fixture()
    gate.loopDelay(80)
    await ask(20)
    expect(gate.waiting).toBe(4)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(gate.waiting).toBe(0)
    expect(begun).toHaveLength(20)
    for (const left of begun.splice(0)) left(false)
    expect(vi.getTimerCount()).toBe(0)
    await ask(16)
    expect(gate.waiting).toBe(0)
    await ask(1)
    expect(gate.waiting).toBe(1)
  } finally {
    vi.useRealTimers()
  }
})

test('at the end of a run nobody waits any more', async () => {
  const { gate, begun, ask } = fixture()
  gate.loopDelay(80)
  await ask(100)
  gate.end()
  await settled()
  expect(begun).toHaveLength(100)
})
