// What happens at one instant has a bound that knows how many hosts there are.
import { describe, expect, it } from 'vitest'
import { World } from '../../src/virtual/world.ts'

function busyInstant(hosts: number, events: number): () => void {
  const world = new World({ seed: 1, hosts })
  for (let event = 0; event < events; event += 1) world.at(5, () => {})
  return () => {
    while (world.step(10)) {
      // Until nothing is left to happen.
    }
  }
}

describe('the events of one instant', () => {
  it('may be many where there are many hosts', () => {
    expect(busyInstant(10_000, 500_000)).not.toThrow()
  })

  it('never end where there are few', () => {
    expect(busyInstant(10, 10_002)).toThrow('events never end')
  })
})
