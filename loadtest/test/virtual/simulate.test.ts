import { afterEach, describe, expect, it } from 'vitest'
import { KeptNumbers } from '../../../client/src/core/connection/receive-numbers.ts'
import { SendBuffer } from '../../../client/src/core/connection/send-buffer.ts'
import { type SeedResult, simulateSeed } from '../../src/virtual/index.ts'
import { keptSeeds } from './kept-seeds.ts'

/** The first of some seeds that fails. */
function firstFailure(seeds: number): SeedResult | undefined {
  for (let seed = 1; seed <= seeds; seed++) {
    const result = simulateSeed(seed)
    if (!result.passed) return result
  }
  return undefined
}

describe('a seed', () => {
  it('gives the same run twice, to the last event', () => {
    for (const seed of [4, 7]) {
      const [first, second] = [simulateSeed(seed), simulateSeed(seed, { trace: true })]
      expect(second.digest).toBe(first.digest)
      expect(second.events).toBe(first.events)
      expect(second.coverage).toEqual(first.coverage)
    }
  })

  it('gives another run than its neighbour', () => {
    expect(simulateSeed(7).digest).not.toBe(simulateSeed(8).digest)
  })

  it('tells what happened when it is asked to', () => {
    expect(simulateSeed(7, { trace: true }).trace.join('\n')).toContain('everything is healed')
    expect(simulateSeed(7).trace).toEqual([])
  })

  it.each(keptSeeds)('$seed holds again; it found: $found', ({ seed }) => {
    const result = simulateSeed(seed)
    expect(result.violation).toBeUndefined()
  })
})

// Up to twenty seeds each, on a machine that may be busy with other suites.
describe('the checkers', { timeout: 120_000 }, () => {
  const honestAcknowledge = SendBuffer.prototype.acknowledge
  const honestState = KeptNumbers.prototype.state
  const honestHas = KeptNumbers.prototype.has

  afterEach(() => {
    SendBuffer.prototype.acknowledge = honestAcknowledge
    KeptNumbers.prototype.state = honestState
    KeptNumbers.prototype.has = honestHas
  })

  it('catch a sender that frees its packets before they were acknowledged', () => {
    SendBuffer.prototype.acknowledge = function acknowledge(ack, onAcked) {
      honestAcknowledge.call(this, { cumulative: Math.min(ack.cumulative + 1, this.next), ranges: [] }, onAcked)
    }
    const caught = firstFailure(20)
    expect(caught?.violation?.property).toMatch(/^(lost|liveness|order|survival)$/)
  })

  it('catch a receiver that acknowledges numbers before they arrived', () => {
    KeptNumbers.prototype.state = function state() {
      const { cumulative, ranges } = honestState.call(this)
      // Its gap is filled with good intentions: the sender frees what never came.
      return this.hasGap ? { cumulative: ranges[0]![1], ranges: ranges.slice(1) } : { cumulative, ranges }
    }
    const caught = firstFailure(20)
    expect(caught?.violation?.property).toMatch(/^(lost|liveness|order|survival)$/)
  })

  it('catch a receiver that takes a packet that waits for its turn twice', () => {
    KeptNumbers.prototype.has = (number) => number < 0
    expect(firstFailure(20)).toBeDefined()
  })
})
