import { expect, test } from 'vitest'
import type { Carrier, CarrierEvents } from '../../src/node/carrier.ts'
import { DialGate } from '../../src/node/dial-gate.ts'

/** A gate of two, and dials whose ends the test decides. */
function bench() {
  const gate = new DialGate(2)
  const begun = new Map<string, CarrierEvents>()
  const heard: string[] = []
  const closed: string[] = []
  const dial = (name: string, url = 'http://r1'): Carrier =>
    gate.dial(
      url,
      (events) => {
        if (name.startsWith('bad')) throw Object.assign(new Error('no such carrier'), { code: 'carrier_unknown' })
        begun.set(name, events)
        return { write: () => name !== 'full', close: () => closed.push(name) }
      },
      {
        onOpen: () => heard.push(`${name} open`),
        onBytes: (chunk) => heard.push(`${name} ${chunk.length}`),
        onDrain: () => heard.push(`${name} drain`),
        onClose: (code) => heard.push(`${name} ${code}`),
      },
    )
  return { dial, begun, heard, closed, names: () => [...begun.keys()].join(' ') }
}

test('dials beyond the limit begin as those before them are open, over or given up, the oldest first', () => {
  const { dial, begun, heard, names, closed } = bench()
  const [a] = ['a', 'b', 'c', 'd', 'e'].map((name) => dial(name))
  dial('elsewhere', 'http://r2')
  expect(names()).toBe('a b elsewhere')
  a!.close()
  expect(names()).toBe('a b elsewhere c')
  begun.get('b')!.onOpen()
  expect(names()).toBe('a b elsewhere c d')
  begun.get('c')!.onClose('dial_failed', 'refused')
  expect(names()).toBe('a b elsewhere c d e')
  begun.get('b')!.onBytes(new Uint8Array(3))
  begun.get('b')!.onClose('carrier_lost', 'gone')
  expect(heard).toEqual(['b open', 'c dial_failed', 'b 3', 'b carrier_lost'])
  expect(closed).toEqual(['a'])
})

test('what is given up while it waits never begins, and its end is counted once', () => {
  const { dial, begun, names } = bench()
  const [, , c] = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => dial(name))
  c!.close()
  c!.close()
  begun.get('a')!.onOpen()
  begun.get('a')!.onClose('carrier_lost', 'gone')
  expect(names()).toBe('a b d')
})

test('it takes what is written, and says when it is full', () => {
  const { dial } = bench()
  expect(dial('full').write([new Uint8Array(1)])).toBe(false)
  dial('b')
  expect(dial('waits').write([new Uint8Array(1)])).toBe(true)
})

test('a dial that cannot even begin says so at once, or where it would have begun', async () => {
  const { dial, begun, heard, names } = bench()
  expect(() => dial('bad')).toThrow('no such carrier')
  dial('a')
  dial('b')
  dial('bad late')
  dial('c')
  begun.get('a')!.onClose('dial_failed', 'refused')
  expect(names()).toBe('a b')
  await new Promise(setImmediate)
  expect(names()).toBe('a b c')
  expect(heard).toEqual(['a dial_failed', 'bad late carrier_unknown'])
})
