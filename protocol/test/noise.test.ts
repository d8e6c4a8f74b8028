import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { concat, HandshakeState, hex, type NoisePattern, noiseNonce, simulatorCrypto, unhex } from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { seededRandom } from './seeded-random.ts'

interface Vector {
  readonly from: string
  readonly protocol_name: string
  readonly init_prologue: string
  readonly init_static: string
  readonly init_ephemeral: string
  readonly init_remote_static?: string
  readonly init_psks?: readonly string[]
  readonly resp_static: string
  readonly resp_ephemeral: string
  readonly resp_prologue: string
  readonly handshake_hash?: string
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[]
}

const file = JSON.parse(readFileSync(new URL('./vectors/noise.json', import.meta.url), 'utf8')) as { vectors: Vector[] }
const crypto = nodeCrypto()
const basePoint = unhex(`09${'00'.repeat(31)}`)

const pairOf = (privateHex: string) => {
  const privateKey = unhex(privateHex)
  return { privateKey, publicKey: crypto.x25519(privateKey, basePoint) }
}

function ends(vector: Vector): [HandshakeState, HandshakeState] {
  const [, pattern, place] = /^Noise_(XX|IK)(?:psk(\d))?_/.exec(vector.protocol_name)!
  const psk = vector.init_psks?.[0]
  const common = {
    crypto,
    pattern: pattern as NoisePattern,
    ...(place === undefined ? {} : { psk: unhex(psk!), pskAt: Number(place) }),
  }
  const initiator = new HandshakeState({
    ...common,
    role: 'initiator',
    prologue: unhex(vector.init_prologue),
    staticKey: pairOf(vector.init_static),
    ephemeral: pairOf(vector.init_ephemeral),
    ...(vector.init_remote_static === undefined ? {} : { remoteStatic: unhex(vector.init_remote_static) }),
  })
  const responder = new HandshakeState({
    ...common,
    role: 'responder',
    prologue: unhex(vector.resp_prologue),
    staticKey: pairOf(vector.resp_static),
    ephemeral: pairOf(vector.resp_ephemeral),
  })
  return [initiator, responder]
}

describe('Noise against the vectors of cacophony and snow', () => {
  test('all patterns of ours are among them', () => {
    expect(new Set(file.vectors.map((vector) => vector.protocol_name.split('_')[1]))).toEqual(
      new Set(['XX', 'IK', 'XXpsk3', 'IKpsk1', 'IKpsk2']),
    )
  })

  test.each(file.vectors)('$protocol_name ($from)', (vector) => {
    const [initiator, responder] = ends(vector)
    const messages = [...vector.messages]
    for (let turn = 0; !(initiator.finished && responder.finished); turn += 1) {
      const { payload, ciphertext } = messages.shift()!
      const [writer, reader] = turn % 2 === 0 ? [initiator, responder] : [responder, initiator]
      const message = writer.writeMessage(unhex(payload))
      expect(hex(message)).toBe(ciphertext)
      expect(hex(reader.clone().readMessage(message))).toBe(payload)
      expect(hex(reader.readMessage(message))).toBe(payload)
    }
    const keys = initiator.keys()
    expect(responder.keys()).toEqual(keys)
    if (vector.handshake_hash !== undefined) expect(hex(keys.handshakeHash)).toBe(vector.handshake_hash)
    expect(hex(responder.remoteStatic!)).toBe(hex(pairOf(vector.init_static).publicKey))

    // What follows in the vectors are transport messages, in turn, each direction with its own key and counter.
    const sealers = [crypto.aead(keys.initiatorKey), crypto.aead(keys.responderKey)]
    const counters = [0, 0]
    const handshakeMessages = vector.messages.length - messages.length
    for (const [index, { payload, ciphertext }] of messages.entries()) {
      const side = (handshakeMessages + index) % 2
      const nonce = noiseNonce(counters[side]!)
      counters[side]! += 1
      expect(hex(concat(sealers[side]!.seal(nonce, new Uint8Array(0), [unhex(payload)])))).toBe(ciphertext)
    }
    expect(messages.length).toBeGreaterThan(0)
  })
})

describe('a handshake state', () => {
  const simulated = simulatorCrypto(seededRandom(7))
  const pair = (pattern: NoisePattern = 'XX') => {
    const responderKey = simulated.generateX25519()
    const common = { crypto: simulated, pattern, prologue: unhex('01') }
    return {
      initiator: new HandshakeState({
        ...common,
        role: 'initiator',
        staticKey: simulated.generateX25519(),
        ...(pattern === 'IK' ? { remoteStatic: responderKey.publicKey } : {}),
      }),
      responder: new HandshakeState({ ...common, role: 'responder', staticKey: responderKey }),
    }
  }

  test('refuses messages out of turn', () => {
    const { initiator, responder } = pair()
    expect(() => responder.writeMessage(new Uint8Array(0))).toThrow('out of turn')
    expect(() => initiator.readMessage(new Uint8Array(32))).toThrow('out of turn')
    expect(() => initiator.keys()).toThrow('not finished')
  })

  test('is useless after a forged message, while a clone made before goes on', () => {
    const { initiator, responder } = pair()
    responder.readMessage(initiator.writeMessage(new Uint8Array(0)))
    const message2 = responder.writeMessage(unhex('aa'))
    const forged = message2.slice()
    forged[forged.length - 1]! ^= 1
    const clone = initiator.clone()
    expect(() => initiator.readMessage(forged)).toThrow(expect.objectContaining({ code: 'handshake_forged' }))
    expect(() => initiator.readMessage(message2)).toThrow('out of turn')
    expect(hex(clone.readMessage(message2))).toBe('aa')
  })

  test('of IK fails when the responder has another key', () => {
    const { initiator } = pair('IK')
    const { responder } = pair('IK')
    expect(() => responder.readMessage(initiator.writeMessage(new Uint8Array(0)))).toThrow(
      expect.objectContaining({ code: 'handshake_forged' }),
    )
  })

  test('refuses a public key that gives no secret', () => {
    const responder = new HandshakeState({
      crypto,
      pattern: 'XX',
      role: 'responder',
      prologue: unhex(''),
      staticKey: crypto.generateX25519(),
    })
    responder.readMessage(new Uint8Array(32))
    expect(() => responder.writeMessage(new Uint8Array(0))).toThrow(expect.objectContaining({ code: 'bad_public_key' }))
  })
})
