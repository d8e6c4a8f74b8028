/** Messages handed to a callback, whatever it returns and does. */

import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { StreamSet } from '../../src/core/streams/index.ts'
import { MessageReceiver, type OnMessage } from '../../src/node/message-receiver.ts'

function receiver(messages: number): MessageReceiver {
  const queue = Array.from({ length: messages }, (_, index) => Uint8Array.of(index + 1))
  const streams = { takeMessage: () => queue.shift(), takenCompression: () => undefined, hasControl: () => false }
  return new MessageReceiver(
    streams as unknown as StreamSet,
    () => {},
    () => {},
  )
}

it('goes on after a callback that returns something that is no promise', () => {
  const got: number[] = []
  receiver(3).listen(((message: Uint8Array) => got.push(message[0]!)) as unknown as OnMessage)
  expect(got).toEqual([1, 2, 3])
})

it('gives a callback that takes the place of another in its own call one message at a time', async () => {
  const got: string[] = []
  const messages = receiver(4)
  const ends: (() => void)[] = []
  messages.listen(() => {
    messages.listen((message) => {
      got.push(`${message[0]} begins`)
      return new Promise((end) => ends.push(end))
    })
    return Promise.resolve()
  })
  await turn()
  expect(got).toEqual(['2 begins'])
  ends[0]!()
  await turn()
  expect(got).toEqual(['2 begins', '3 begins'])
})

it('hands over what came before the end, one after the other', async () => {
  const got: number[] = []
  const messages = receiver(2)
  let goOn = (): void => {}
  messages.listen((message) => {
    got.push(message[0]!)
    return new Promise((end) => {
      goOn = end
    })
  })
  messages.end(undefined)
  expect(got).toEqual([1])
  goOn()
  await turn()
  expect(got).toEqual([1, 2])
})
