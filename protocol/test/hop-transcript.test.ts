/** One XX attachment with fixed keys, byte by byte: what an implementation in another language can be held against. */

import { createPrivateKey, createPublicKey } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  type CryptoProvider,
  HopLink,
  hex,
  issueRelayCertificate,
  issueUserCertificate,
  type KeyPair,
  type MeshTrust,
  unhex,
} from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'

const node = nodeCrypto()
const basePoint = unhex(`09${'00'.repeat(31)}`)

/** Clamped by X25519 itself: any 32 bytes are a private key. */
function x25519(byte: number): KeyPair {
  const privateKey = new Uint8Array(32).fill(byte)
  return { privateKey, publicKey: node.x25519(privateKey, basePoint) }
}

function ed25519(byte: number): KeyPair {
  const privateKey = new Uint8Array(32).fill(byte)
  const key = createPrivateKey({
    key: Buffer.concat([unhex('302e020100300506032b657004220420'), privateKey]),
    format: 'der',
    type: 'pkcs8',
  })
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(12)
  return { privateKey, publicKey: new Uint8Array(publicKey) }
}

/** Draws `ephemeral` as every X25519 pair, and one byte repeated as every random. */
function fixed(ephemeral: KeyPair, random: number): CryptoProvider {
  return { ...node, generateX25519: () => ephemeral, randomBytes: (length) => new Uint8Array(length).fill(random) }
}

function links(): { client: HopLink; relay: HopLink } {
  const [root, relayIssuer, userIssuer, lists] = [ed25519(1), ed25519(2), ed25519(3), ed25519(4)] as const
  const meshId = '0f'.repeat(16)
  const trust: MeshTrust = {
    meshId,
    rootKey: root.publicKey,
    relayIssuerKey: relayIssuer.publicKey,
    userIssuerKey: userIssuer.publicKey,
    listSignerKey: lists.publicKey,
  }
  const crypto = fixed(x25519(5), 0xaa)
  const span = { notBeforeMs: 1_700_000_000_000, notAfterMs: 1_800_000_000_000 }
  const staticKey = x25519(6)
  const relayCertificate = issueRelayCertificate(crypto, relayIssuer.privateKey, {
    meshId,
    relayId: 'r1',
    staticKey: staticKey.publicKey,
    ...span,
  })
  const [identityKey, hopKey, endKey] = [ed25519(7), x25519(8), x25519(9)] as const
  const certificate = issueUserCertificate(crypto, userIssuer.privateKey, {
    meshId,
    user: 'alice',
    identityKey: identityKey.publicKey,
    hopKey: hopKey.publicKey,
    endKey: endKey.publicKey,
    ...span,
  })
  const common = { random: () => 0.5, meshId, carrier: 'upgrade', software: 'sennit/0.1.0', trust }
  const identity = { user: 'alice', identityKey, hopKey, endKey, certificate }
  return {
    client: new HopLink({
      ...common,
      role: 'initiator',
      crypto: fixed(x25519(10), 0xbb),
      identity,
      label: 'laptop',
      instance: new Uint8Array(16).fill(0xcc),
    }),
    relay: new HopLink({
      ...common,
      role: 'responder',
      crypto: fixed(x25519(11), 0xdd),
      relayIdentity: { relayId: 'r1', staticKey, certificate: relayCertificate },
      attachmentId: () => new Uint8Array(16).fill(0xee),
    }),
  }
}

test('the transcript of an XX attachment with fixed keys never changes', () => {
  const nowMs = 1_750_000_000_000
  const { client, relay } = links()
  const transcript: string[] = []
  const first = client.first(nowMs)
  transcript.push(`client ${hex(first)}`)
  relay.receive(nowMs, first)
  const move = (name: string, from: HopLink, to: HopLink): boolean => {
    let moved = false
    for (let effect = from.poll(); effect !== undefined; effect = from.poll()) {
      if (effect.type !== 'write') continue
      moved = true
      transcript.push(`${name} ${effect.pieces.map(hex).join('')}`)
      for (const piece of effect.pieces) to.receive(nowMs, piece)
    }
    return moved
  }
  for (let moved = true; moved; ) {
    moved = move('relay', relay, client)
    moved = move('client', client, relay) || moved
  }
  expect(transcript).toMatchInlineSnapshot(`
    [
      "client 004501f77ff4b10788bfdca62ca0bb160d427cf5762d85f2b5cad6807ec9c3febbde09080110011a10bbbbbbbbbbbbbbbb820aee343737e5fa220c73656e6e69742f302e312e30",
      "relay 01120173b2d8b76aa9b53660032bc8f5d8bee3a3ae4e3b3a7fd49ade81f7347a34aa684b30aa2b518daea141ab30af0e9477db1cb5794a776d29a5495df40e72fb7b06d48258f87289747ed61e9b0defa34af01c219dc791e168a14bb34ec42dfdcc7d0bad69b4fb92b9e9aba56148027475800e21795d19a9277f7e61a5431008293bfa299650f6d9a4b948eb6633df81533319308671d3b918f9658f60dc86ced2f71fd901733df284a46ede2779f103110e9f5dda427e18b5d939a158227643c913035e6607850370c1b965087c99a8e9a1ca8f60179f513aaf21c6be04c977d072bf56c060670b801b84f03b41b4cd263154b0b955a0d4ecb227e3d2433b19b6390f603e084dfa4608919db73584be9056c0",
      "client 0165013d9fe185157c0c7c454bf103b02cfece219213421c2de35ab5464773820330af056e7112b154a4cccd6b30ad27a1b6cce28a9c13926a2acf012f2b2f4b630e98346bcc2d7b215d6606e14199887e0ae57bf1a0a065ff6b700f01ac328af7d62cfa9c6af9dec089fb2f18c70783a89ca1e40d3cab9f351f3795db05ee919c3fc7e6ff8fef1fa3fd4b27cb8749dffa9f83a24d4555043d92f5500df36b8aef59b5cea5c5677305a8fbec6bbecf1590cd849513672b8cbd2f6a3a4e9f08afbf5b48f207cfe350f2ea2f66daf3d197a3d4f1ef769dd908f609ea35de84bf02d7f4900b61723dc58ec012a978c66353f6ad5a249a7de5d0bb77c59cacde9d713e2d7fdd5fae8fd4dfea488388b2da32c136ee73e0588b162c19f261c38150ce816d4df5cb8c1604d945433e10fdd1117503f82876db648699577e349f393cbcf7defa35339f6675c12d47a122d87d09ba4193d27e054be81b4554b8a4c2e0cd78e240c0399e14",
      "relay 0053b80bc344ea3fff23730ead0962082afb003cc76e3f27142b51b479423f762bec5b08957fe94daa4cff0652867de201dcaddb8f3cd5ecb1a9ab508dbb7ab439e04717b332cddfc141864403c007458fe03ce66c",
      "client 004360db1c09c5f0585584614e6d9b94c5f0f3361c699c9ba8d5812d3f3e1f3916efa6a8a1d075b51eb5776a1a5c58438892c88dd0e48eb1769077866562b8bb960d868a9b",
      "relay 002adc1cc7bf255553bb6962ad9e9c473ebc6e2d8d1b5044761fb7c1d288c87d8f3f26112f3d9487f928c130",
    ]
  `)
})
