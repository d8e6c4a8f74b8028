/** The set that mostly holds one item does as a set does. */

import { describe, expect, it } from 'vitest'
import { SmallSet } from '../../src/core/small-set.ts'

function visited(set: SmallSet<number>, how: 'forEach' | 'takeEach', adds: Record<number, number> = {}): number[] {
  const items: number[] = []
  set[how]((item) => {
    items.push(item)
    const added = adds[item]
    if (added !== undefined) set.add(added)
  })
  return items
}

describe('SmallSet', () => {
  it.each([
    ['nothing', [], []],
    ['one', [5], [5]],
    ['one, again and again', [5, 5, 5], [5]],
    ['some, in the order of adding', [5, 3, 5, 4, 3], [5, 3, 4]],
  ])('holds each once: %s', (_what, added, expected) => {
    const set = new SmallSet<number>()
    for (const item of added) set.add(item)
    expect(set.size).toBe(expected.length)
    expect(visited(set, 'forEach')).toEqual(expected)
    expect(visited(set, 'takeEach')).toEqual(expected)
    expect(set.size).toBe(0)
    expect(visited(set, 'takeEach')).toEqual([])
  })

  it('visits what is added meanwhile, or keeps it for the next time when all are taken out', () => {
    const set = new SmallSet<number>()
    set.add(1)
    expect(visited(set, 'forEach', { 1: 2, 2: 3, 3: 1 })).toEqual([1, 2, 3])
    expect(visited(set, 'takeEach', { 1: 2, 2: 1, 3: 4 })).toEqual([1, 2, 3])
    expect(visited(set, 'takeEach')).toEqual([2, 1, 4])
  })
})
