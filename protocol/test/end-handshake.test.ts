import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  CallerHandshake,
  concat,
  type EndHandshakeOptions,
  encodeVarint,
  HandshakeState,
  hex,
  issueMesh,
  joinTag,
  ListenerHandshake,
  PACKET_KIND,
  PacketSealer,
  SennitError,
  simulatorCrypto,
  splitName,
  unhex,
  utf8,
} from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { callerOptions, endWorld, listenerOptions, nowMs, play, userOf } from './end-fixtures.ts'
import { seededRandom } from './seeded-random.ts'

const world = endWorld(nodeCrypto())
const cheap = endWorld(simulatorCrypto(seededRandom(1)))

function through(caller: EndHandshakeOptions, listener: EndHandshakeOptions) {
  const calling = new CallerHandshake(caller)
  const listening = new ListenerHandshake(listener)
  const message2 = listening.answer(calling.message1)
  const called = calling.answer(message2)
  return { calling, listening, message2, called, listened: listening.confirm(called.message3) }
}

describe.each([
  ['node', world],
  ['simulator', cheap],
])('a handshake that holds (%s)', (_name, of) => {
  const instances = { instance: of.crypto.randomBytes(16), other: of.crypto.randomBytes(16) }
  const { called, listened, listening } = through(
    callerOptions(of, { instance: instances.instance, attempt: 7, previous: of.crypto.randomBytes(16) }),
    listenerOptions(of, { instance: instances.other }),
  )

  test('gives both ends mirrored keys that no two uses share', () => {
    const [a, b] = [called.secrets, listened.secrets]
    expect([a.role, b.role]).toEqual(['caller', 'listener'])
    expect(hex(a.sendControlKey)).toBe(hex(b.receiveControlKey))
    expect(hex(a.receiveControlKey)).toBe(hex(b.sendControlKey))
    expect(hex(a.sendDataKey)).toBe(hex(b.receiveDataKey))
    expect(hex(a.receiveDataKey)).toBe(hex(b.sendDataKey))
    expect(hex(a.pathSecret)).toBe(hex(b.pathSecret))
    expect(hex(a.handshakeHash)).toBe(hex(b.handshakeHash))
    const keys = [a.sendControlKey, a.receiveControlKey, a.sendDataKey, a.receiveDataKey, a.pathSecret, a.handshakeHash]
    expect(new Set(keys.map(hex)).size).toBe(6)
  })

  test('tells each end who the other is', () => {
    expect(called.peer).toMatchObject({ user: 'bob', meshId: of.mesh.trust.meshId })
    expect(listened.peer).toMatchObject({ user: 'alice' })
    expect([called.peerLabel, listened.peerLabel]).toEqual(['home', 'laptop'])
    expect(hex(called.peerInstance)).toBe(hex(instances.other))
    expect(hex(listened.peerInstance)).toBe(hex(instances.instance))
    expect(listening.request).toMatchObject({ attempt: 7, application: 'postgres', listener: 'bob' })
    expect([called.keyMode, listened.keyMode]).toEqual(['blind', 'blind'])
  })

  test('lets both ends open what the other sealed', () => {
    const [a, b] = [new PacketSealer(of.crypto, called.secrets), new PacketSealer(of.crypto, listened.secrets)]
    const header = { form: 0, kind: PACKET_KIND.control, epoch: 0, counter: 0 }
    expect(hex(b.open(header, a.seal(header, [utf8('hi')]))!)).toBe(hex(utf8('hi')))
    expect(hex(a.open(header, b.seal(header, [utf8('ho')]))!)).toBe(hex(utf8('ho')))
  })

  test('gives one join tag per relay, the same at both ends', () => {
    const tag = hex(joinTag(of.crypto, called.secrets, 'r1'))
    expect(hex(joinTag(of.crypto, listened.secrets, 'r1'))).toBe(tag)
    expect(hex(joinTag(of.crypto, called.secrets, 'r2'))).not.toBe(tag)
    expect(tag.length).toBe(32)
  })
})

describe('copies over other relays', () => {
  test('of a good message give the same result again', () => {
    const { calling, listening, message2, called, listened } = through(callerOptions(world), listenerOptions(world))
    expect(listening.answer(calling.message1)).toBe(message2)
    expect(calling.answer(message2.slice())).toBe(called)
    expect(listening.confirm(called.message3.slice())).toBe(listened)
  })

  test('that are forged spoil nothing: the true one still holds', () => {
    const calling = new CallerHandshake(callerOptions(world))
    const listening = new ListenerHandshake(listenerOptions(world))
    const message2 = listening.answer(calling.message1)
    expect(() => calling.answer(flipped(message2, 40))).toThrow(SennitError)
    expect(() => listening.confirm(flipped(message2, 1))).toThrow(SennitError)
    const { message3, secrets } = calling.answer(message2)
    expect(() => listening.confirm(flipped(message3, 20))).toThrow(SennitError)
    expect(hex(listening.confirm(message3).secrets.handshakeHash)).toBe(hex(secrets.handshakeHash))
  })

  test('that differ after the end are refused', () => {
    const { calling, listening, message2, called } = through(callerOptions(world), listenerOptions(world))
    const second = new ListenerHandshake(listenerOptions(world)).answer(calling.message1)
    expect(() => calling.answer(second)).toThrow(expect.objectContaining({ code: 'handshake_done' }))
    expect(() => listening.answer(new CallerHandshake(callerOptions(world)).message1)).toThrow(
      expect.objectContaining({ code: 'handshake_done' }),
    )
    expect(() => listening.confirm(flipped(called.message3, 3))).toThrow(expect.objectContaining({ code: 'handshake_done' }))
    expect(message2.length).toBeLessThan(1_024)
  })

  test('out of order are refused', () => {
    expect(() => new ListenerHandshake(listenerOptions(world)).confirm(new Uint8Array(100))).toThrow(
      expect.objectContaining({ code: 'handshake_failed' }),
    )
  })

  test('of a whole recorded handshake do not confirm at a listener that answered afresh', () => {
    const { calling, called } = through(callerOptions(world), listenerOptions(world))
    const later = new ListenerHandshake(listenerOptions(world))
    later.answer(calling.message1)
    expect(() => later.confirm(called.message3)).toThrow(expect.objectContaining({ code: 'handshake_forged' }))
  })
})

describe('bytes changed on the way', () => {
  const plain = through(callerOptions(cheap), listenerOptions(cheap))
  const lengths = { 1: plain.calling.message1.length, 2: plain.message2.length, 3: plain.called.message3.length }

  test.each([1, 2, 3] as const)('every bit of message %s flipped: refused, by the simulator as by real keys', (number) => {
    for (let bit = 0; bit < lengths[number] * 8; bit += 1) {
      const { step } = play(callerOptions(cheap), listenerOptions(cheap), (message, at) =>
        at === number ? flippedBit(message, bit) : message,
      )
      expect(step, `bit ${bit}`).not.toBe('done')
    }
  })

  test.each([1, 2, 3] as const)('every byte of message %s flipped under real keys: refused with a code', (number) => {
    const length = realLengths()[number - 1]!
    for (let at = 0; at < length; at += 1) {
      const { step, code } = play(callerOptions(world), listenerOptions(world), (message, which) =>
        which === number ? flipped(message, at) : message,
      )
      expect(step, `byte ${at}`).not.toBe('done')
      expect(code).toMatch(/^[a-z_]+$/)
    }
  })

  test.each([1, 2, 3] as const)('message %s cut anywhere or made longer: refused', (number) => {
    for (let length = 0; length < lengths[number]; length += 1) {
      const { step } = play(callerOptions(cheap), listenerOptions(cheap), (message, at) =>
        at === number ? message.subarray(0, length) : message,
      )
      expect(step, `length ${length}`).not.toBe('done')
    }
    const longer = (extra: number) =>
      play(callerOptions(cheap), listenerOptions(cheap), (message, at) =>
        at === number ? concat([message, new Uint8Array(extra)]) : message,
      )
    expect(longer(1).step).not.toBe('done')
    expect(longer(10_000)).toMatchObject({ code: 'malformed' })
  })

  test('any bytes in place of any message: refused with our own error', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 2, 3), fc.constantFrom(0, 1, 2), fc.uint8Array({ maxLength: 600 }), (number, variant, bytes) => {
        const message = concat([new Uint8Array([variant]), bytes])
        expect(play(callerOptions(cheap), listenerOptions(cheap), (original, at) => (at === number ? message : original)).step).not.toBe(
          'done',
        )
      }),
      { numRuns: 3_000 },
    )
  })

  test('messages of another connection of the same two users: refused', () => {
    const other = through(callerOptions(world), listenerOptions(world))
    for (const [number, bytes] of [
      [1, other.calling.message1],
      [2, other.message2],
      [3, other.called.message3],
    ] as const) {
      expect(play(callerOptions(world), listenerOptions(world), (message, at) => (at === number ? bytes : message))).toMatchObject({
        code: 'handshake_forged',
      })
    }
  })
})

describe('wrong words and certificates', () => {
  const foreign = issueMesh(world.crypto, nowMs)
  const mallory = userOf(world.crypto, world.mesh, 'mallory')
  const caller = (wishes: Partial<EndHandshakeOptions>) => play(callerOptions(world, wishes), listenerOptions(world))
  const listener = (wishes: Partial<EndHandshakeOptions>) => play(callerOptions(world), listenerOptions(world, wishes))
  const withCertificate = (identity: typeof mallory, certificate: Uint8Array) => ({ ...identity, certificate })

  test.each([
    ['another application', () => caller({ application: 'web' }), 'answer', 'application_mismatch'],
    ['another caller than the relay told', () => caller({ caller: 'mallory' }), 'answer', 'name_mismatch'],
    ['another label of the caller', () => caller({ caller: 'alice/phone' }), 'answer', 'name_mismatch'],
    ['another listener', () => caller({ listener: 'carol' }), 'answer', 'name_mismatch'],
    ['another label of the listener', () => caller({ listener: 'bob/work' }), 'answer', 'name_mismatch'],
    ['a listener that calls itself otherwise', () => listener({ listener: 'bob/Not A Label' }), 'message3', 'malformed'],
    ['a listener asked for by its label', () => caller({ listener: 'bob/home' }), 'done', ''],
    ['another connection id', () => caller({ connectionId: world.crypto.randomBytes(16) }), 'message3', 'handshake_forged'],
    ['a listener with the certificate of another', () => listener({ identity: mallory }), 'message3', 'name_mismatch'],
    ['a caller with the certificate of another', () => caller({ identity: mallory }), 'confirm', 'name_mismatch'],
    [
      'a listener whose certificate is for other keys',
      () => listener({ identity: withCertificate(mallory, world.bob.certificate) }),
      'message3',
      'key_mismatch',
    ],
    [
      'a caller whose certificate is for other keys',
      () => caller({ identity: withCertificate(mallory, world.alice.certificate) }),
      'confirm',
      'key_mismatch',
    ],
    ['a listener of another mesh', () => listener({ identity: userOf(world.crypto, foreign, 'bob') }), 'message3', 'certificate_foreign'],
    ['a caller of another mesh', () => caller({ identity: userOf(world.crypto, foreign, 'alice') }), 'confirm', 'certificate_foreign'],
    [
      'a caller whose own mesh signed with our mesh id',
      () => caller({ identity: userOf(world.crypto, { ...foreign, trust: world.mesh.trust }, 'alice') }),
      'confirm',
      'certificate_forged',
    ],
    [
      'an expired listener',
      () => listener({ identity: userOf(world.crypto, world.mesh, 'bob', { notAfterMs: nowMs - 1 }) }),
      'message3',
      'certificate_expired',
    ],
    [
      'an expired caller',
      () => caller({ identity: userOf(world.crypto, world.mesh, 'alice', { notAfterMs: nowMs - 1 }) }),
      'confirm',
      'certificate_expired',
    ],
    [
      'a caller before its time',
      () => caller({ identity: userOf(world.crypto, world.mesh, 'alice', { notBeforeMs: nowMs + 500_000 }) }),
      'confirm',
      'certificate_not_yet_valid',
    ],
    [
      'a listener that may not serve this',
      () => listener({ identity: userOf(world.crypto, world.mesh, 'bob', { applications: ['web'] }) }),
      'message3',
      'application_not_allowed',
    ],
    [
      'a caller that may not call this',
      () => caller({ identity: userOf(world.crypto, world.mesh, 'alice', { applications: ['web'] }) }),
      'confirm',
      'application_not_allowed',
    ],
    [
      'a caller that may call this and more',
      () => caller({ identity: userOf(world.crypto, world.mesh, 'alice', { applications: ['web', 'postgres'] }) }),
      'done',
      '',
    ],
    [
      'a listener with another key than pinned',
      () => caller({ pinnedEndKey: mallory.endKey.publicKey }),
      'message3',
      'pinned_key_mismatch',
    ],
    ['a listener with the pinned key', () => caller({ pinnedEndKey: world.bob.endKey.publicKey }), 'done', ''],
    ['a caller with another key than pinned', () => listener({ pinnedEndKey: mallory.endKey.publicKey }), 'confirm', 'pinned_key_mismatch'],
    ['a caller taken back', () => listener({ revoked: (certificate) => certificate.user === 'alice' }), 'confirm', 'certificate_revoked'],
    [
      'a listener without the identity key of its certificate',
      () => listener({ identity: { ...world.bob, identityKey: mallory.identityKey } }),
      'message3',
      'identity_unproved',
    ],
    [
      'a caller without the identity key of its certificate',
      () => caller({ identity: { ...world.alice, identityKey: mallory.identityKey } }),
      'confirm',
      'identity_unproved',
    ],
    ['a caller that offers no mode', () => caller({ keyModes: [] }), 'message1', 'bad_key_mode'],
    ['no mode in common', () => listener({ keyModes: ['none'] }), 'answer', 'key_mode_mismatch'],
    [
      'more modes offered than blind',
      () => play(callerOptions(world, { keyModes: ['blind', 'relay'] }), listenerOptions(world, { keyModes: ['none', 'blind', 'relay'] })),
      'done',
      '',
    ],
  ] as const)('%s', (_why, run, step, code) => {
    expect(run()).toEqual({ step, code })
  })

  test.each([
    [1, 0x02, 'answer', 'not_yet'],
    [1, 0x00, 'answer', 'unsupported'],
    [2, 0x02, 'message3', 'not_yet'],
    [3, 0x7f, 'confirm', 'unsupported'],
  ] as const)('message %s of variant %s', (number, variant, step, code) => {
    const played = play(callerOptions(world), listenerOptions(world), (message, at) =>
      at === number ? concat([new Uint8Array([variant]), message.subarray(1)]) : message,
    )
    expect(played).toEqual({ step, code })
  })

  test('a caller of a later version only is told so', () => {
    // Byte 2 is the lowest version the caller speaks (after the variant and a length of one or two bytes).
    const played = play(callerOptions(world), listenerOptions(world), (message, at) => {
      if (at !== 1) return message
      const changed = message.slice()
      const start = changed[1]! < 0x40 ? 2 : 3
      changed.set([9, 12], start)
      return changed
    })
    expect(played).toEqual({ step: 'answer', code: 'version_incompatible' })
  })

  test('a caller that also speaks later versions is accepted only if that is what it said', () => {
    const played = play(callerOptions(world), listenerOptions(world), (message, at) => {
      if (at !== 1) return message
      const changed = message.slice()
      changed[(changed[1]! < 0x40 ? 2 : 3) + 1] = 2
      return changed
    })
    expect(played).toEqual({ step: 'message3', code: 'handshake_forged' })
  })
})

describe('bytes as docs/protocol.md lays them out', () => {
  const ephemeral = {
    privateKey: unhex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4'),
    publicKey: unhex('1c9fd88f45606d932a80c71824ae151d15d73e77de38e8e000852e614fae7019'),
  }
  const fixed = { ...world.crypto, generateX25519: () => ephemeral }
  const request =
    '01 01 01 08 706f737467726573 0c 616c6963652f6c6170746f70 03 626f62 a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1 4102 10 b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2'

  test('message 1', () => {
    const { message1 } = new CallerHandshake(
      callerOptions(world, {
        crypto: fixed,
        instance: new Uint8Array(16).fill(0xa1),
        attempt: 258,
        previous: new Uint8Array(16).fill(0xb2),
      }),
    )
    expect(hex(message1)).toBe(`01 4040 ${request} ${hex(ephemeral.publicKey)}`.replaceAll(' ', ''))
  })

  test('a caller written out from the page comes through, and later fields are skipped', () => {
    const later = unhex(`${request} 4123 20 ${'d4'.repeat(32)} 06 737072656164 cafe`.replaceAll(' ', ''))
    const head = concat([unhex('01'), encodeVarint(later.length), later])
    const state = new HandshakeState({
      crypto: world.crypto,
      pattern: 'XX',
      role: 'initiator',
      prologue: concat([utf8('sennit e2e 1'), unhex('00'), world.connectionId, head]),
      staticKey: world.alice.endKey,
    })
    const listening = new ListenerHandshake(listenerOptions(world, { instance: new Uint8Array(16).fill(0xc3) }))
    const message2 = listening.answer(concat([head, state.writeMessage(unhex(''))]))
    expect(message2[0]).toBe(1)
    const credentialOf = ({ certificate, identityKey, endKey }: typeof world.bob, hash: Uint8Array) => {
      const signed = concat([utf8('sennit e2e identity 1'), unhex('00'), hash, endKey.publicKey])
      const proof = world.crypto.ed25519Sign(identityKey.privateKey, signed)
      return concat([unhex('01'), encodeVarint(certificate.length), certificate, proof])
    }
    const acceptance = concat([
      unhex(`01 01 ${'c3'.repeat(16)} 04 686f6d65`.replaceAll(' ', '')),
      credentialOf(world.bob, state.handshakeHash),
    ])
    expect(hex(state.readMessage(message2.subarray(1)))).toBe(hex(acceptance))
    const message3 = concat([unhex('01'), state.writeMessage(concat([credentialOf(world.alice, state.handshakeHash), unhex('cafe')]))])
    const { secrets, peer, peerFeatures } = listening.confirm(message3)
    expect(peer.user).toBe('alice')
    expect(peerFeatures).toBe(0x123)
    expect(hex(secrets.handshakeHash)).toBe(hex(state.keys().handshakeHash))
    expect(listening.request).toMatchObject({
      attempt: 258,
      previous: new Uint8Array(16).fill(0xb2),
      paths: 'spread',
      relaySecret: new Uint8Array(32).fill(0xd4),
    })
  })

  test.each([
    [2, 'not_yet'],
    [3, 'not_yet'],
    [4, 'not_yet'],
    [9, 'unsupported'],
  ])('a credential of kind %s ends with %s', (kind, code) => {
    const head = unhex(`01 4040 ${request}`.replaceAll(' ', ''))
    const state = new HandshakeState({
      crypto: world.crypto,
      pattern: 'XX',
      role: 'initiator',
      prologue: concat([utf8('sennit e2e 1'), unhex('00'), world.connectionId, head]),
      staticKey: world.alice.endKey,
    })
    const listening = new ListenerHandshake(listenerOptions(world))
    state.readMessage(listening.answer(concat([head, state.writeMessage(unhex(''))])).subarray(1))
    const message3 = concat([unhex('01'), state.writeMessage(new Uint8Array([kind, 0]))])
    expect(() => listening.confirm(message3)).toThrow(expect.objectContaining({ code }))
  })
})

test('names split at the first slash', () => {
  expect(splitName('alice')).toEqual({ user: 'alice', label: '' })
  expect(splitName('alice/laptop')).toEqual({ user: 'alice', label: 'laptop' })
})

function realLengths(): [number, number, number] {
  const { calling, message2, called } = through(callerOptions(world), listenerOptions(world))
  return [calling.message1.length, message2.length, called.message3.length]
}

function flipped(message: Uint8Array, at: number): Uint8Array {
  const copy = message.slice()
  if (at < copy.length) copy[at]! ^= 0x80 >> (at % 8)
  return copy
}

function flippedBit(message: Uint8Array, bit: number): Uint8Array {
  const copy = message.slice()
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}
