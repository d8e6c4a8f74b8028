/** Any frame that the wire can carry exactly, for property tests. */

import fc from 'fast-check'
import { type AckRange, ackRangesMax, type Frame, streamHeaderBytesMax, utf8 } from '../src/index.ts'

const is = <T extends string>(type: T): fc.Arbitrary<T> => fc.constant(type)
const number = fc.maxSafeNat()
const small = fc.oneof(fc.nat(200), number)
const offset = fc.nat(2 ** 40)
const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
const eightBytes = fc.uint8Array({ minLength: 8, maxLength: 8 })
// Times that are whole microseconds; to 2^31 of them, since far beyond that a double rounds.
const ms = fc.nat(2 ** 31 - 1).map((microseconds) => microseconds / 1_000)
const fraction = fc.nat(1_000_000).map((millionths) => millionths / 1_000_000)
const relayId = fc.string({ maxLength: 15, unit: 'grapheme-ascii' })
const text = fc.string({ maxLength: 16, unit: 'grapheme' }).filter((value) => utf8(value).length <= 64)
const step = fc.tuple(fc.integer({ min: 1, max: 2 ** 31 }), fc.integer({ min: 1, max: 2 ** 31 }))
const ackState = fc.record({ cumulative: offset, steps: fc.array(step, { maxLength: ackRangesMax }) }).map(({ cumulative, steps }) => {
  let end = cumulative
  const ranges = steps.map(([gap, length]): AckRange => {
    const from = end + gap
    end = from + length
    return [from, end]
  })
  return { cumulative, ranges }
})

/** All types, small and great values, empty and full lists. */
export function anyFrame(): fc.Arbitrary<Frame> {
  return fc.oneof<fc.Arbitrary<Frame>[]>(
    fc.record({ type: is('stream'), streamId: small, offset, data: bytes(3_000) }),
    fc.record({ type: is('open'), streamId: small, header: bytes(streamHeaderBytesMax) }),
    fc.record({ type: is('credit'), streamId: small, limit: number, consumed: number }),
    fc.record({ type: is('fin'), streamId: small, finalOffset: number }),
    fc.record({ type: is('reset'), streamId: small, errorCode: small, finalOffset: number }),
    fc.record({ type: is('stop'), streamId: small, errorCode: small }),
    fc.record({ type: is('messageRefused'), index: small, errorCode: small }),
    fc.record({ type: is('messageDelivered'), index: small }),
    fc.record({ type: fc.constantFrom('confirm' as const, 'yield' as const, 'exists' as const) }),
    fc.record({
      type: is('plan'),
      epoch: small,
      relays: fc.array(fc.record({ relayId, costMs: ms, callerRttMs: ms, listenerRttMs: ms }), { maxLength: 8 }),
      activeFromCaller: relayId,
      activeFromListener: relayId,
      standby: relayId,
    }),
    fc.record({ type: fc.constantFrom('planOk' as const, 'modesOk' as const), epoch: small }),
    fc.record({
      type: is('planModes'),
      epoch: small,
      paths: text,
      fromCaller: fc.array(relayId, { maxLength: 8 }),
      fromListener: fc.array(relayId, { maxLength: 8 }),
    }),
    fc.record({ type: is('paths'), paths: text }),
    fc.record({ type: is('seen'), number, delayMs: ms }),
    fc.record({ type: is('relayLies'), relayId, count: small }),
    fc.record({ type: is('ackDelay'), delayMs: ms }),
    fc.record({ type: is('arrived'), atMs: ms }),
    fc.record({ type: is('planNo'), epoch: small, relayId, reason: text }),
    fc.record({ type: is('pathBad'), relayId }),
    fc.record({
      type: is('close'),
      lastKept: small,
      reason: text,
      message: text,
      counts: fc.array(fc.record({ streamId: small, received: number, delivered: number }), { maxLength: 20 }),
    }),
    fc.record({ ack: ackState, delayMs: ms }).map(({ ack, delayMs }) => ({ type: 'ack' as const, ...ack, delayMs })),
    fc.record({ type: fc.constantFrom('ping' as const, 'pong' as const), id: small }),
    fc.record({
      type: is('hello'),
      relayId,
      nonce: eightBytes,
      echo: fc.oneof(fc.constant(new Uint8Array(0)), eightBytes),
      ack: ackState,
      planEpoch: small,
    }),
    fc.record({
      type: is('report'),
      relays: fc.array(fc.record({ relayId, rttMs: ms, varMs: ms, loss: fraction, ageMs: small, reachable: fc.boolean() }), {
        maxLength: 8,
      }),
    }),
    fc.record({ type: is('datagram'), data: bytes(200) }),
    fc.record({ type: is('nothing') }),
  )
}
