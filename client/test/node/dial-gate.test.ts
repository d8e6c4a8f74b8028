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
        onBegin: () => heard.push(`${name} begins`),
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
  const dials = ['a', 'b', 'c', 'd', 'e'].map((name) => dial(name))
  const [a] = dials
  dial('elsewhere', 'http://r2')
  expect(names()).toBe('a b elsewhere')
  expect(dials.map(({ waits }) => waits)).toEqual([false, false, true, true, true])
  a!.close()
  expect(names()).toBe('a b elsewhere c')
  begun.get('b')!.onOpen()
  expect(names()).toBe('a b elsewhere c d')
  begun.get('c')!.onClose('dial_failed', 'refused')
  expect(names()).toBe('a b elsewhere c d e')
  begun.get('b')!.onBytes(new Uint8Array(3))
  begun.get('b')!.onClose('carrier_lost', 'gone')
  expect(heard).toEqual(['c begins', 'd begins', 'b open', 'e begins', 'c dial_failed', 'b 3', 'b carrier_lost'])
  expect(closed).toEqual(['a'])
})

test('what is given up while it waits never begins, and its end is counted once', () => {
  const { dial, begun, names } = bench()
  const [, , c, d, , f] = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => dial(name))
  c!.close()
  c!.close()
  begun.get('a')!.onOpen()
  begun.get('a')!.onClose('carrier_lost', 'gone')
  expect(names()).toBe('a b d')
  f!.close()
  d!.close()
  expect(names()).toBe('a b d e')
  dial('g')
  begun.get('e')!.onOpen()
  expect(names()).toBe('a b d e g')
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
  expect(heard).toEqual(['bad late begins', 'a dial_failed', 'c begins', 'bad late carrier_unknown'])
})
