/** One frame of every type with its bytes. The hex is the truth: docs/protocol.md describes it, and a change to it is a change of the wire. */

import { type Frame, unhex } from '../src/index.ts'

export const goldenFrames: readonly { readonly why: string; readonly frame: Frame; readonly bytes: string }[] = [
  { why: 'message bytes', frame: { type: 'stream', streamId: 0, offset: 0, data: unhex('686921') }, bytes: '01 05 00 00 686921' },
  {
    why: 'stream bytes far into a stream',
    frame: { type: 'stream', streamId: 5, offset: 70_000, data: unhex('ff') },
    bytes: '01 06 05 80011170 ff',
  },
  { why: 'a new stream', frame: { type: 'open', streamId: 1, header: unhex('68') }, bytes: '03 02 01 68' },
  { why: 'credit', frame: { type: 'credit', streamId: 2, limit: 1_048_576, consumed: 300 }, bytes: '05 07 02 80100000 412c' },
  { why: 'the end of a stream', frame: { type: 'fin', streamId: 3, finalOffset: 16_384 }, bytes: '07 05 03 80004000' },
  { why: 'a stream given up', frame: { type: 'reset', streamId: 3, errorCode: 7, finalOffset: 64 }, bytes: '09 04 03 07 4040' },
  { why: 'a stream not wanted', frame: { type: 'stop', streamId: 4, errorCode: 9 }, bytes: '0b 02 04 09' },
  { why: 'a message too large', frame: { type: 'messageRefused', index: 12, errorCode: 1 }, bytes: '0d 02 0c 01' },
  { why: 'messages taken', frame: { type: 'messageDelivered', index: 99 }, bytes: '0f 02 4063' },
  { why: 'key confirmation', frame: { type: 'confirm' }, bytes: '11 00' },
  { why: 'wait for mine', frame: { type: 'yield' }, bytes: '13 00' },
  { why: 'one is here already', frame: { type: 'exists' }, bytes: '15 00' },
  {
    why: 'a plan over two relays',
    frame: {
      type: 'plan',
      epoch: 3,
      relays: [
        { relayId: 'r1', costMs: 12.5, callerRttMs: 5, listenerRttMs: 20 },
        { relayId: 'r2', costMs: 45, callerRttMs: 40, listenerRttMs: 50.001 },
      ],
      activeFromCaller: 'r1',
      activeFromListener: 'r2',
      standby: 'r2',
    },
    bytes: '17 25 03 02 027231 70d4 5388 80004e20 027232 8000afc8 80009c40 8000c351 027231 027232 027232',
  },
  { why: 'the plan holds', frame: { type: 'planOk', epoch: 3 }, bytes: '19 01 03' },
  {
    why: 'the plan names a relay out of reach',
    frame: { type: 'planNo', epoch: 3, relayId: 'r2', reason: 'no_route' },
    bytes: '1b 0d 03 027232 086e6f5f726f757465',
  },
  { why: 'a path suspected', frame: { type: 'pathBad', relayId: 'r1' }, bytes: '1d 03 027231' },
  {
    why: 'the end of a connection',
    frame: {
      type: 'close',
      lastKept: 500,
      reason: 'closed',
      message: 'bye',
      counts: [
        { streamId: 0, received: 10, delivered: 9 },
        { streamId: 1, received: 70_000, delivered: 0 },
      ],
    },
    bytes: '1f 17 41f4 06636c6f736564 03627965 02 000a09 018001117000',
  },
  {
    why: 'an ack with two gaps',
    frame: {
      type: 'ack',
      cumulative: 100,
      ranges: [
        [102, 103],
        [110, 200],
      ],
      delayMs: 1.5,
    },
    bytes: '21 0a 4064 02 0201 07405a 45dc',
  },
  { why: 'an ack without gaps', frame: { type: 'ack', cumulative: 1, ranges: [], delayMs: 0 }, bytes: '21 03 01 00 00' },
  { why: 'ping', frame: { type: 'ping', id: 258 }, bytes: '23 02 4102' },
  { why: 'pong', frame: { type: 'pong', id: 258 }, bytes: '25 02 4102' },
  {
    why: 'the first hello of a path',
    frame: {
      type: 'hello',
      relayId: 'r3',
      nonce: unhex('0102030405060708'),
      echo: unhex(''),
      ack: { cumulative: 0, ranges: [] },
      planEpoch: 0,
    },
    bytes: '27 0f 027233 0102030405060708 00 00 00 00',
  },
  {
    why: 'a hello that echoes and resumes',
    frame: {
      type: 'hello',
      relayId: 'r3',
      nonce: unhex('0102030405060708'),
      echo: unhex('1112131415161718'),
      ack: { cumulative: 7, ranges: [[9, 11]] },
      planEpoch: 2,
    },
    bytes: '27 19 027233 0102030405060708 08 1112131415161718 07 01 0202 02',
  },
  {
    why: 'a relay report',
    frame: {
      type: 'report',
      relays: [
        { relayId: 'r1', rttMs: 5, varMs: 0.25, loss: 0.01, ageMs: 1_500, reachable: true },
        { relayId: 'r2', rttMs: 0, varMs: 0, loss: 1, ageMs: 0, reachable: false },
        { relayId: 'r3', rttMs: 0, varMs: 0, loss: 0, ageMs: 0, reachable: true, policyMs: 50 },
      ],
    },
    bytes: '28 24 03 027231 5388 40fa 6710 45dc 01 027232 00 00 800f4240 00 00 027233 00 00 00 00 03 8000c350',
  },
  { why: 'bytes that may be lost', frame: { type: 'datagram', data: unhex('0102') }, bytes: '2a 02 0102' },
  { why: 'no words', frame: { type: 'nothing' }, bytes: '2c 00' },
  {
    why: 'how the plan uses its relays',
    frame: { type: 'planModes', epoch: 3, paths: 'mirror(2)', fromCaller: ['r1', 'r2'], fromListener: ['r1'] },
    bytes: '36 16 03 096d6972726f72283229 02 027231 027232 01 027231',
  },
  { why: 'the modes hold', frame: { type: 'modesOk', epoch: 3 }, bytes: '2e 01 03' },
  { why: 'a wish', frame: { type: 'paths', paths: 'spread' }, bytes: '30 07 06737072656164' },
  { why: 'what came last on a path', frame: { type: 'seen', number: 300, delayMs: 1.5 }, bytes: '32 04 412c 45dc' },
  { why: 'when the newest packet came', frame: { type: 'arrived', atMs: 90_000 }, bytes: '3a 04 855d4a80' },
  { why: 'acks of lone packets may wait', frame: { type: 'ackDelay', delayMs: 2_000 }, bytes: '38 04 801e8480' },
  { why: 'a relay that lies', frame: { type: 'relayLies', relayId: 'r1', count: 16 }, bytes: '34 04 027231 10' },
]
