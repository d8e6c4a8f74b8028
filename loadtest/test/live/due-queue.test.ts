import { expect, test } from 'vitest'
import { DueQueue, type Waits } from '../../src/live/due-queue.ts'

interface Item extends Waits {
  readonly name: string
}

function item(name: string): Item {
  return { name, place: -1 }
}

/** Takes all that are due. */
function due(queue: DueQueue<Item>, nowMs: number): string[] {
  const taken: string[] = []
  for (let one = queue.take(nowMs); one !== undefined; one = queue.take(nowMs)) taken.push(one.name)
  return taken
}

test('items come out when they are due, the earliest first, each once', () => {
  const queue = new DueQueue<Item>()
  const times = Array.from({ length: 300 }, (_, index) => (index * 7919) % 1_000)
  for (const [index, atMs] of times.entries()) queue.put(item(`${index}`), atMs)
  const order = due(queue, 499).map((name) => times[Number(name)]!)
  expect(order).toEqual(times.filter((atMs) => atMs <= 499).sort((a, b) => a - b))
  expect(queue.size).toBe(300 - order.length)
  expect(queue.nextMs).toBe(Math.min(...times.filter((atMs) => atMs > 499)))
  expect(due(queue, 1_000)).toHaveLength(300 - order.length)
  expect(queue.size).toBe(0)
})

test('an item that is put in again is due at the earlier time, once', () => {
  const queue = new DueQueue<Item>()
  const a = item('a')
  queue.put(a, 50)
  queue.put(a, 20)
  queue.put(a, 30)
  expect(due(queue, 19)).toEqual([])
  expect(due(queue, 100)).toEqual(['a'])
  queue.put(a, 60)
  expect(due(queue, 100)).toEqual(['a'])
})

test('what is never due, or was taken away, does not come', () => {
  const queue = new DueQueue<Item>()
  const gone = item('gone')
  queue.put(item('never'), Number.POSITIVE_INFINITY)
  queue.put(gone, 1)
  queue.remove(gone)
  queue.put(item('here'), 2)
  expect(due(queue, 1e12)).toEqual(['here'])
  queue.put(gone, 3)
  queue.clear()
  expect(due(queue, 1e12)).toEqual([])
  expect(queue.nextMs).toBe(Number.POSITIVE_INFINITY)
  queue.put(gone, 4)
  expect(due(queue, 4)).toEqual(['gone'])
})

test('it keeps the order of a plain sorted list, whatever is put in, put earlier, taken and removed', () => {
  const queue = new DueQueue<Item>()
  const items = Array.from({ length: 40 }, (_, index) => item(`${index}`))
  const model = new Map<Item, number>()
  let state = 7
  const draw = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
  for (let step = 0; step < 20_000; step++) {
    const one = items[draw(items.length)]!
    const what = draw(10)
    if (what < 6) {
      const atMs = draw(1_000_000) / 7
      queue.put(one, atMs)
      model.set(one, Math.min(atMs, model.get(one) ?? Number.POSITIVE_INFINITY))
    } else if (what < 8) {
      queue.remove(one)
      model.delete(one)
    } else {
      const nowMs = draw(1_000_000) / 7
      const first = queue.take(nowMs)
      const least = Math.min(...model.values())
      expect(first === undefined ? Number.POSITIVE_INFINITY : model.get(first)).toBe(least <= nowMs ? least : Number.POSITIVE_INFINITY)
      if (first !== undefined) model.delete(first)
    }
    expect(queue.size).toBe(model.size)
    expect(queue.nextMs).toBe(Math.min(Number.POSITIVE_INFINITY, ...model.values()))
  }
})
