/** The pace of messages: what is accepted, and when the next had better wait. */

import { describe, expect, it } from 'vitest'
import { StreamSet } from '../../src/core/streams/index.ts'
import { MessageSender } from '../../src/node/message-sender.ts'

function world(creditBytes: number) {
  const streams = new StreamSet({ role: 'caller' })
  streams.onFrame({ type: 'credit', streamId: 0, limit: creditBytes, consumed: 0 })
  let touched = 0
  const touch = (): void => {
    touched += 1
  }
  const sender = new MessageSender({ streams, compressor: undefined, touch, ended: () => undefined, onRefused: () => {} })
  const events = (): void => {
    for (let event = streams.poll(); event !== undefined; event = streams.poll()) {
      if (event.type === 'writable' && event.streamId === 0) sender.roomCame()
      if (event.type === 'messageAccepted') sender.accepted(event.index)
    }
  }
  return { streams, sender, events, touched: () => touched }
}

/** Whether a promise is settled now, after all that is on the way. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false
  void promise.then(() => {
    done = true
  })
  await new Promise((next) => setImmediate(next))
  return done
}

describe('messages', () => {
  it('are accepted at once while there is credit, and leave when they are pulled', async () => {
    const { sender, streams, touched } = world(1_000_001)
    expect(await settled(sender.send(new Uint8Array(100), 'accepted', undefined))).toBe(true)
    expect(touched()).toBe(1)
    expect(streams.pullData(1_000)).toHaveLength(1)
  })

  it('wait when much of those before has not left, though there is credit', async () => {
    const { sender, streams, events } = world(8_000_001)
    expect(sender.writableBytes).toBe(8_000_001)
    const sends = Array.from({ length: 11 }, () => sender.send(new Uint8Array(100_000), 'accepted', undefined))
    expect(await settled(Promise.all(sends.slice(0, 10)))).toBe(true)
    expect(sender.writableBytes).toBe(0)
    const [last, drained] = [sends[10]!, sender.drained()]
    expect([await settled(last), await settled(drained)]).toEqual([false, false])
    while (streams.hasData()) streams.pullData(65_536)
    events()
    expect([await settled(last), await settled(drained)]).toEqual([true, true])
    expect(sender.writableBytes).toBeGreaterThan(6_000_000)
  })

  it('beyond the credit wait for it', async () => {
    const { sender, streams, events } = world(16_384)
    const send = sender.send(new Uint8Array(20_000), 'accepted', undefined)
    events()
    expect(await settled(send)).toBe(false)
    streams.onFrame({ type: 'credit', streamId: 0, limit: 50_001, consumed: 0 })
    events()
    expect(await settled(send)).toBe(true)
  })
})
