/** Key modes: which one two ends agree on, and who can read and forge what under each. */

import { describe, expect, test } from 'vitest'
import {
  CallerHandshake,
  checkKeyModes,
  deriveSessionSecrets,
  type EndHandshakeResult,
  hex,
  type KeyMode,
  ListenerHandshake,
  PACKET_KIND,
  PacketSealer,
  type SessionSecrets,
  simulatorCrypto,
  utf8,
} from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { callerOptions, endWorld, listenerOptions, play } from './end-fixtures.ts'
import { seededRandom } from './seeded-random.ts'

const world = endWorld(simulatorCrypto(seededRandom(11)))
const { crypto, connectionId } = world

interface Met {
  readonly called: EndHandshakeResult
  readonly listened: EndHandshakeResult
  readonly message1: Uint8Array
  readonly listening: ListenerHandshake
}

function meet(offered: readonly KeyMode[], accepted: readonly KeyMode[], features = [0, 0]): Met {
  const calling = new CallerHandshake(callerOptions(world, { keyModes: offered, features: features[0]! }))
  const listening = new ListenerHandshake(listenerOptions(world, { keyModes: accepted, features: features[1]! }))
  const called = calling.answer(listening.answer(calling.message1))
  return { called, listened: listening.confirm(called.message3), message1: calling.message1, listening }
}

describe('two ends agree on', () => {
  test.each([
    [['blind'], ['blind'], 'blind'],
    [['relay'], ['relay'], 'relay'],
    [['none'], ['none'], 'none'],
    [['blind', 'relay', 'none'], ['none', 'relay', 'blind'], 'blind'],
    [['relay', 'none'], ['blind', 'relay', 'none'], 'relay'],
    [['blind', 'none'], ['relay', 'none'], 'none'],
  ] as const)('the best of %j and %j: %s', (offered, accepted, mode) => {
    const { called, listened } = meet(offered, accepted)
    expect([called.keyMode, listened.keyMode]).toEqual([mode, mode])
    const [a, b] = [new PacketSealer(crypto, called.secrets), new PacketSealer(crypto, listened.secrets)]
    for (const kind of [PACKET_KIND.data, PACKET_KIND.control, PACKET_KIND.loose, PACKET_KIND.datagram]) {
      const header = { form: 0, kind, epoch: 0, counter: 0 }
      expect(b.open(header, a.seal(header, [utf8('hi')]))).toEqual(utf8('hi'))
      expect(a.open(header, b.seal(header, [utf8('ho')]))).toEqual(utf8('ho'))
    }
  })

  test.each([
    [['blind'], ['relay', 'none']],
    [['relay'], ['blind']],
    [['none'], ['blind', 'relay']],
  ] as const)('nothing, and fail closed: %j and %j', (offered, accepted) => {
    const played = play(callerOptions(world, { keyModes: offered }), listenerOptions(world, { keyModes: accepted }))
    expect(played).toEqual({ step: 'answer', code: 'key_mode_mismatch' })
  })

  test.each([[[]], [['blnd']], [['blind', 'Relay']]])('no such modes as %j', (keyModes) => {
    expect(() => checkKeyModes(keyModes as unknown as KeyMode[])).toThrow(expect.objectContaining({ code: 'bad_key_mode' }))
    expect(() => new CallerHandshake(callerOptions(world, { keyModes: keyModes as unknown as KeyMode[] }))).toThrow(
      expect.objectContaining({ code: 'bad_key_mode' }),
    )
  })

  test('what each can beyond that, as it said', () => {
    const { called, listened } = meet(['blind'], ['blind'], [5, 1_000])
    expect([called.peerFeatures, listened.peerFeatures]).toEqual([1_000, 5])
    const quiet = meet(['blind'], ['blind'])
    expect([quiet.called.peerFeatures, quiet.listened.peerFeatures]).toEqual([0, 0])
  })
})

describe('no relay can', () => {
  test('take a better mode out of an offer, change the secret, or what the ends can', () => {
    const offered: readonly KeyMode[] = ['blind', 'relay']
    const { message1 } = new CallerHandshake(callerOptions(world, { keyModes: offered, features: 3 }))
    const accepting = { keyModes: ['blind', 'relay'] as const, features: 3 }
    // Every byte of the request, its key modes, features and secret among them.
    for (let at = 1; at < message1.length; at += 1) {
      const { step } = play(
        callerOptions(world, { keyModes: offered, features: 3 }),
        listenerOptions(world, accepting),
        (message, number) => {
          if (number !== 1) return message
          const changed = message.slice()
          changed[at]! ^= 1
          return changed
        },
      )
      expect(step).not.toBe('done')
    }
  })

  test('make relay mode out of an offer without its secret', () => {
    // An older caller that set the bit and sent no secret.
    const { message1 } = new CallerHandshake(callerOptions(world, { keyModes: ['blind', 'none'] }))
    const changed = message1.slice()
    const at = 1 + 1 + 2
    expect(changed[at]).toBe(1 | 4)
    changed[at] = 2
    const listening = new ListenerHandshake(listenerOptions(world, { keyModes: ['relay'] }))
    expect(() => listening.answer(changed)).toThrow(expect.objectContaining({ code: 'key_mode_mismatch' }))
  })
})

/** What somebody on the way could make for himself from the first message. */
function stolenKeys(met: Met, keyMode: 'relay' | 'none'): SessionSecrets {
  const { relaySecret } = met.listening.request!
  const guess = { initiatorKey: new Uint8Array(32), responderKey: new Uint8Array(32), handshakeHash: new Uint8Array(32) }
  return deriveSessionSecrets(crypto, 'listener', guess, connectionId, { keyMode, relaySecret })
}

describe('who can read and forge what', () => {
  const data = { form: 0, kind: PACKET_KIND.data, epoch: 0, counter: 0 }

  test.each(['relay', 'none'] as const)('%s: whoever saw the first message reads data, of every epoch', (mode) => {
    const met = meet([mode], [mode])
    const eavesdropper = new PacketSealer(crypto, stolenKeys(met, mode))
    const sender = new PacketSealer(crypto, met.called.secrets)
    expect(eavesdropper.open(data, sender.seal(data, [utf8('order')]))).toEqual(utf8('order'))
    sender.advanceSend()
    const later = { ...data, epoch: 1, counter: 1 }
    expect(eavesdropper.open(later, sender.seal(later, [utf8('next')]))).toEqual(utf8('next'))
  })

  test.each(['relay', 'none'] as const)('%s: and yet neither reads nor forges credit, acks or close', (mode) => {
    const met = meet([mode], [mode])
    const keys = stolenKeys(met, mode)
    const thief = new PacketSealer(crypto, keys)
    const forger = new PacketSealer(crypto, { ...keys, role: 'caller' })
    const [sender, receiver] = [new PacketSealer(crypto, met.called.secrets), new PacketSealer(crypto, met.listened.secrets)]
    for (const kind of [PACKET_KIND.control, PACKET_KIND.loose]) {
      const header = { ...data, kind }
      expect(thief.open(header, sender.seal(header, [utf8('close')]))).toBeUndefined()
      expect(receiver.open(header, forger.seal(header, [utf8('close')]))).toBeUndefined()
    }
    expect(hex(keys.sendShareKey)).not.toBe(hex(met.listened.secrets.sendShareKey))
    expect(hex(keys.pathSecret)).not.toBe(hex(met.listened.secrets.pathSecret))
  })

  test('blind: the first message gives nothing, whatever was offered beside it', () => {
    const met = meet(['blind', 'relay', 'none'], ['blind', 'relay', 'none'])
    const sealed = new PacketSealer(crypto, met.called.secrets).seal(data, [utf8('order')])
    for (const mode of ['relay', 'none'] as const)
      expect(new PacketSealer(crypto, stolenKeys(met, mode)).open(data, sealed)).toBeUndefined()
  })

  test('relay: without the secret, which travels sealed between each end and its relay, nobody reads', () => {
    const met = meet(['relay'], ['relay'])
    const sealed = new PacketSealer(crypto, met.called.secrets).seal(data, [utf8('order')])
    expect(new PacketSealer(crypto, stolenKeys(met, 'none')).open(data, sealed)).toBeUndefined()
  })
})

// Made by an independent implementation of docs/protocol.md.
test.each([
  ['relay', '72d8bb1eb6ac276f88495355c8260a63c4b627f2e4b851230ca578559d097e57'],
  ['none', '1bf8bbd5d42a175b523dce857760075e36fd11980e3449076f18f5580b50cf6a'],
] as const)('the data key of %s is golden, and all other keys are those of blind', (keyMode, expected) => {
  const keys = {
    initiatorKey: new Uint8Array(32).fill(1),
    responderKey: new Uint8Array(32).fill(2),
    handshakeHash: new Uint8Array(32).fill(3),
  }
  const id = new Uint8Array(16).fill(4)
  const real = nodeCrypto()
  const secrets = deriveSessionSecrets(real, 'caller', keys, id, { keyMode, relaySecret: new Uint8Array(32).fill(5) })
  expect(hex(secrets.sendDataKey)).toBe(expected)
  const blind = deriveSessionSecrets(real, 'caller', keys, id)
  expect({ ...secrets, sendDataKey: 0, receiveDataKey: 0 }).toEqual({ ...blind, sendDataKey: 0, receiveDataKey: 0 })
})
