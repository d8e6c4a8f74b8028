/** A stream between what its connection has heard and what the application has been told: events are told at the end of a turn. */
import { describe, expect, it } from 'vitest'
import { Stream } from '../../src/node/stream.ts'
import { pair } from '../streams/pipe.ts'

/** A stream of the caller whose other end has read nothing and then stopped reading; nobody has told the application yet. */
function stopped(bytesBefore: number): { stream: Stream; told: (number | string)[] } {
  const { a, b, settle } = pair()
  const id = a.open(new Uint8Array(0))
  const stream = new Stream({ streams: a, touch: () => {}, ended: () => undefined }, id, new Uint8Array(0))
  const told: (number | string)[] = []
  stream.onStopped((code) => told.push(code))
  stream.onDrain(() => told.push('drain'))
  if (bytesBefore > 0) stream.write(new Uint8Array(bytesBefore))
  settle()
  b.stop(id, 7)
  settle()
  return { stream, told }
}

describe('a stream that the other end stopped reading', () => {
  it('takes a write that comes before the news as one that goes nowhere, and the news ends the wait', () => {
    const { stream, told } = stopped(0)
    expect(stream.write(Uint8Array.of(1))).toBe(false)
    stream.peerStopped(7)
    expect(told).toEqual([7, 'drain'])
    expect(() => stream.write(Uint8Array.of(1))).toThrow(expect.objectContaining({ code: 'stream_closed' }))
  })

  it('sends nothing of its queue when credit is told before the stop', () => {
    // More than the credit that a stream opens with, so that some of it queues.
    const { stream, told } = stopped(200_000)
    expect(stream.queuedBytes).toBeGreaterThan(0)
    stream.flushQueue()
    stream.peerStopped(7)
    expect(stream.queuedBytes).toBe(0)
    expect(told).toEqual([7, 'drain'])
  })
})
