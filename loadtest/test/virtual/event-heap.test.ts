import { describe, expect, it } from 'vitest'
import { Dice } from '../../src/virtual/dice.ts'
import { EventHeap, Timer } from '../../src/virtual/event-heap.ts'

/** Everything that comes out, until nothing is left. */
function drained(heap: EventHeap): void {
  for (let run = heap.take(); run !== undefined; run = heap.take()) run()
}

describe('the heap of events', () => {
  it('gives events by time, those of one time in the order in which they were added', () => {
    const heap = new EventHeap()
    const came: string[] = []
    for (const [atMs, name] of [
      [5, 'c'],
      [1, 'a'],
      [5, 'd'],
      [2, 'b'],
      [5, 'e'],
    ] as const)
      heap.add(atMs, () => came.push(name))
    drained(heap)
    expect(came.join('')).toBe('abcde')
  })

  it('runs a timer once, at the time it was moved to last', () => {
    const heap = new EventHeap()
    const came: string[] = []
    const timer = new Timer(() => came.push('timer'))
    heap.set(timer, 9)
    heap.add(3, () => came.push('event'))
    heap.set(timer, 1)
    heap.set(timer, 4)
    heap.add(7, () => came.push('last'))
    drained(heap)
    expect(came).toEqual(['event', 'timer', 'last'])
    heap.set(timer, 4)
    expect(heap.nextAtMs()).toBe(4)
  })

  it('has nothing to come when all that is left are timers that never run', () => {
    const heap = new EventHeap()
    const timer = new Timer(() => undefined)
    heap.set(timer, 2)
    heap.set(timer, Number.POSITIVE_INFINITY)
    expect(heap.nextAtMs()).toBeUndefined()
  })

  it('agrees with a sorted list, whatever is added, moved and taken', () => {
    const dice = new Dice(11)
    const heap = new EventHeap()
    const due = new Map<number, { atMs: number; order: number }>()
    const came: number[] = []
    const timers = Array.from({ length: 20 }, (_, number) => new Timer(() => came.push(number)))
    let order = 0
    for (let step = 0; step < 4_000; step++) {
      const atMs = dice.int(0, 50)
      if (dice.chance(0.4)) {
        const number = 20 + step
        heap.add(atMs, () => came.push(number))
        due.set(number, { atMs, order: order++ })
      } else if (dice.chance(0.6)) {
        const number = dice.int(0, 19)
        heap.set(timers[number]!, atMs)
        if (due.get(number)?.atMs !== atMs) due.set(number, { atMs, order: order++ })
      } else {
        const [first] = [...due].sort(([, left], [, right]) => left.atMs - right.atMs || left.order - right.order)
        heap.take()?.()
        if (first !== undefined) {
          expect(came.pop()).toBe(first[0])
          due.delete(first[0])
        }
      }
    }
  })
})
