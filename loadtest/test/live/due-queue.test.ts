import { expect, test } from 'vitest'
import { DueQueue } from '../../src/live/due-queue.ts'

/** Takes all that are due. */
function due(queue: DueQueue<string>, nowMs: number): string[] {
  const taken: string[] = []
  for (let item = queue.take(nowMs); item !== undefined; item = queue.take(nowMs)) taken.push(item)
  return taken
}

test('items come out when they are due, the earliest first, each once', () => {
  const queue = new DueQueue<string>()
  const times = Array.from({ length: 300 }, (_, index) => (index * 7919) % 1_000)
  for (const [index, atMs] of times.entries()) queue.put(`${index}`, atMs)
  const order = due(queue, 499).map((item) => times[Number(item)]!)
  expect(order).toEqual(times.filter((atMs) => atMs <= 499).sort((a, b) => a - b))
  expect(queue.size).toBe(300 - order.length)
  expect(queue.nextMs).toBe(Math.min(...times.filter((atMs) => atMs > 499)))
  expect(due(queue, 1_000)).toHaveLength(300 - order.length)
  expect(queue.size).toBe(0)
})

test('an item that is put in again is due at the earlier time, once', () => {
  const queue = new DueQueue<string>()
  queue.put('a', 50)
  queue.put('a', 20)
  queue.put('a', 30)
  expect(due(queue, 19)).toEqual([])
  expect(due(queue, 100)).toEqual(['a'])
  queue.put('a', 60)
  expect(due(queue, 100)).toEqual(['a'])
})

test('what is never due, or was taken away, does not come', () => {
  const queue = new DueQueue<string>()
  queue.put('never', Number.POSITIVE_INFINITY)
  queue.put('gone', 1)
  queue.remove('gone')
  queue.put('here', 2)
  expect(due(queue, 1e12)).toEqual(['here'])
  queue.put('gone', 3)
  queue.clear()
  expect(due(queue, 1e12)).toEqual([])
  expect(queue.nextMs).toBe(Number.POSITIVE_INFINITY)
})
