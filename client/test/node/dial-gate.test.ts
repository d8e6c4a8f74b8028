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

test('dials beyond the limit begin as those before them are open, over or given up, the newest first', () => {
  const { dial, begun, heard, names, closed } = bench()
  const [a] = ['a', 'b', 'c', 'd', 'e'].map((name) => dial(name))
  dial('elsewhere', 'http://r2')
  expect(names()).toBe('a b elsewhere')
  a!.close()
  expect(names()).toBe('a b elsewhere e')
  begun.get('b')!.onOpen()
  expect(names()).toBe('a b elsewhere e d')
  begun.get('e')!.onClose('dial_failed', 'refused')
  expect(names()).toBe('a b elsewhere e d c')
  begun.get('b')!.onBytes(new Uint8Array(3))
  begun.get('b')!.onClose('carrier_lost', 'gone')
  expect(heard).toEqual(['b open', 'e dial_failed', 'b 3', 'b carrier_lost'])
  expect(closed).toEqual(['a'])
})

test('what is given up while it waits never begins, and its end is counted once', () => {
  const { dial, begun, names } = bench()
  const [, , c, , e, f] = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => dial(name))
  f!.close()
  f!.close()
  begun.get('a')!.onOpen()
  begun.get('a')!.onClose('carrier_lost', 'gone')
  expect(names()).toBe('a b e')
  c!.close()
  e!.close()
  expect(names()).toBe('a b e d')
  dial('g')
  begun.get('d')!.onOpen()
  expect(names()).toBe('a b e d g')
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
  dial('c')
  dial('bad late')
  begun.get('a')!.onClose('dial_failed', 'refused')
  expect(names()).toBe('a b')
  await new Promise(setImmediate)
  expect(names()).toBe('a b c')
  expect(heard).toEqual(['a dial_failed', 'bad late carrier_unknown'])
})
