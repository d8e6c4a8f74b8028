import { expect, test } from 'vitest'
import { Deque } from '../src/deque.ts'

test('it is a list that is read at its front, however far it grows and shrinks', () => {
  const deque = new Deque<number>()
  const model: number[] = []
  let state = 11
  const draw = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
  for (let round = 0; round < 60; round++) {
    const most = [1, 3, 5, 70, 700][draw(5)]!
    for (let some = draw(most) + 1; some > 0; some--) {
      const item = draw(1_000_000)
      deque.push(item)
      model.push(item)
    }
    for (let some = draw(most * 2); some > 0; some--) expect(deque.shift()).toBe(model.shift())
    expect(deque.length).toBe(model.length)
    expect(deque.first()).toBe(model[0])
    for (const place of [0, 1, draw(most), model.length - 1, model.length]) if (place >= 0) expect(deque.at(place)).toBe(model[place])
    if (draw(20) > 0) continue
    deque.clear()
    model.length = 0
  }
  while (model.length > 0) expect(deque.shift()).toBe(model.shift())
  expect(deque.shift()).toBeUndefined()
  expect(deque.first()).toBeUndefined()
  expect(deque.length).toBe(0)
})

test('what was taken out is not kept', () => {
  const deque = new Deque<object>()
  const held = (): number => (deque as unknown as { ring: unknown[] }).ring.filter((item) => item !== undefined).length
  for (let index = 0; index < 1_000; index++) deque.push({})
  for (let index = 0; index < 999; index++) deque.shift()
  expect(held()).toBe(1)
  expect((deque as unknown as { ring: unknown[] }).ring.length).toBeLessThanOrEqual(64)
  deque.shift()
  expect(held()).toBe(0)
})
