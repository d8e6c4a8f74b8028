// What a client believes about relays: signed lists only forward, unsigned sources as witnesses only.
import {
  issueMesh,
  type NewMesh,
  type RelayEntry,
  type SeenRelay,
  SeenRelays,
  signRelayList,
  simulatorCrypto,
  worseTraits,
} from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { ListParts } from '../../src/core/directory/list-parts.ts'
import { RelayBook } from '../../src/core/directory/relay-book.ts'
import { seeded, startMs } from './mesh-world.ts'

const crypto = simulatorCrypto(seeded(3))
const mesh = issueMesh(crypto, startMs - 1_000)
const stranger = issueMesh(crypto, startMs - 1_000)

const entry = (relayId: string, more: Partial<RelayEntry> = {}): RelayEntry => ({ relayId, urls: [`http://${relayId}`], ...more })
const seen = (...ids: string[]): SeenRelay[] => ids.map((relayId) => ({ relayId, urls: [`http://${relayId}:1`] }))
const ids = (relays: readonly { relayId: string }[]): string[] => relays.map(({ relayId }) => relayId)

function list(
  version: number,
  relays: readonly RelayEntry[],
  more: { by?: NewMesh; expiresMs?: number; meshId?: string } = {},
): Uint8Array {
  const { by = mesh, expiresMs = startMs + 1e9 } = more
  return signRelayList(crypto, by.keys.listSigner.privateKey, more.meshId ?? by.trust.meshId, { version, expiresMs, relays })
}

describe('a signed list', () => {
  it('is taken when it is newer, from wherever it comes', () => {
    const book = new RelayBook(crypto, mesh.trust)
    expect(book.offer(startMs, list(3, [entry('r1')]))).toEqual({ type: 'newer', version: 3 })
    expect(book.offer(startMs, list(3, [entry('r1')]))).toEqual({ type: 'known' })
    expect(book.offer(startMs, list(4, [entry('r2')]))).toEqual({ type: 'newer', version: 4 })
    expect(ids(book.relays)).toEqual(['r2'])
  })

  it.each([
    ['an older one', list(2, [entry('r9')]), 'list_older'],
    ['another of the same version', list(3, [entry('r9')]), 'list_conflict'],
    ['one of the same version with another address', list(3, [entry('r1', { urls: ['http://elsewhere'] })]), 'list_conflict'],
    ['one of another mesh', list(9, [entry('r9')], { by: stranger }), 'list_foreign'],
    ['one that another signed', list(9, [entry('r9')], { by: stranger, meshId: mesh.trust.meshId }), 'list_forged'],
    ['one that is over', list(9, [entry('r9')], { expiresMs: startMs - 1 }), 'list_expired'],
    ['one without a relay', list(9, []), 'list_empty'],
    ['what is none', new Uint8Array([1, 2, 3]), 'malformed'],
  ])('changes nothing when it is %s', (_name, bytes, code) => {
    const book = new RelayBook(crypto, mesh.trust)
    book.offer(startMs, list(3, [entry('r1')]))
    expect(book.offer(startMs, bytes)).toMatchObject({ type: 'refused', code })
    expect([book.version, ids(book.relays)]).toEqual([3, ['r1']])
  })

  it('stays in force beyond its end, until there is a newer one', () => {
    const book = new RelayBook(crypto, mesh.trust)
    book.offer(startMs, list(3, [entry('r1')], { expiresMs: startMs + 10 }))
    expect(book.offer(startMs + 20, list(4, [entry('r2')], { expiresMs: startMs + 15 }))).toMatchObject({ code: 'list_expired' })
    expect(ids(book.relays)).toEqual(['r1'])
  })
})

describe('an unsigned source', () => {
  it('gives relays while there is no signed list, without keys and without praise of themselves', () => {
    const book = new RelayBook(crypto, mesh.trust)
    expect(book.seen(startMs, [{ relayId: 'r1', urls: ['http://r1'], traits: { price: 2, securityRating: 100, qos: 9 } }])).toBe(true)
    expect(book.relays).toEqual([{ relayId: 'r1', urls: ['http://r1'], traits: { price: 2 } }])
  })

  it('beside a signed list only tells which relays go', () => {
    const book = new RelayBook(crypto, mesh.trust)
    book.offer(startMs, list(1, [entry('r1'), entry('r2')]))
    const told = book.seen(startMs, [{ relayId: 'r1', urls: ['http://elsewhere'], draining: true }, ...seen('r3')])
    expect(told).toBe(true)
    expect(book.relays).toEqual([entry('r1', { draining: true }), entry('r2')])
    expect(book.seen(startMs, [])).toBe(false)
  })
})

describe('what is missing from an answer', () => {
  it.each<[string, string[], string[]]>([
    ['is gone when it is the lesser part', ['r1', 'r2'], ['r1', 'r2']],
    ['stays when it is more than half at one stroke', ['r3'], ['r1', 'r2', 'r3']],
    ['stays when the answer is empty', [], ['r1', 'r2', 'r3']],
  ])('%s', (_name, answer, left) => {
    const relays = new SeenRelays()
    relays.answer(0, seen('r1', 'r2', 'r3'))
    relays.answer(1, seen(...answer))
    expect(ids(relays.relays)).toEqual(left)
  })

  it('stays when the answer is the first after a gap: a source that lost everything is filled relay by relay', () => {
    const relays = new SeenRelays(600_000, seen('r1', 'r2', 'r3'))
    relays.answer(0, seen('r1', 'r3'), true)
    expect([ids(relays.relays), relays.held]).toEqual([['r1', 'r2', 'r3'], ['r2']])
    relays.answer(1, seen('r1', 'r2', 'r3'))
    expect(relays.held).toEqual([])
    relays.answer(2, seen('r1', 'r3'))
    expect(ids(relays.relays)).toEqual(['r1', 'r3'])
  })

  it('goes after ten minutes, unless it comes back', () => {
    const relays = new SeenRelays(600_000)
    relays.answer(0, seen('r1', 'r2', 'r3'))
    relays.answer(1_000, [])
    expect([relays.held, relays.wakeAtMs()]).toEqual([['r1', 'r2', 'r3'], 601_000])
    relays.answer(2_000, seen('r2'))
    expect(relays.wake(601_000)).toBe(true)
    expect(ids(relays.relays)).toEqual(['r2'])
  })

  it('is not held longer by the next empty answer', () => {
    const relays = new SeenRelays(1_000)
    relays.answer(0, seen('r1'))
    for (let nowMs = 100; nowMs <= 1_100; nowMs += 100) relays.answer(nowMs, [])
    expect(relays.relays).toEqual([])
  })
})

it('what a relay says of itself only makes it worse', () => {
  const operator = { region: 'eu', price: 2, securityRating: 60, uptime: 0.9 }
  expect(worseTraits(operator, { region: 'us', price: 1, securityRating: 100, uptime: 0.5, speedMbps: 10, qos: 9 })).toEqual({
    region: 'eu',
    price: 2,
    securityRating: 60,
    uptime: 0.5,
  })
})

describe('the parts of a list', () => {
  const part = (offset: number, data: number[], version = 1, total = 4) => ({
    type: 'relayListPart' as const,
    version,
    offset,
    total,
    data: Uint8Array.from(data),
  })

  it('become the list, though their buffers are used again', () => {
    const parts = new ListParts()
    const first = part(0, [1, 2])
    expect(parts.take(first)).toBeUndefined()
    first.data.fill(9)
    expect(parts.take(part(2, [3, 4]))).toEqual(Uint8Array.from([1, 2, 3, 4]))
  })

  it.each([
    ['out of order', [part(2, [3, 4]), part(0, [1, 2])]],
    ['of two versions', [part(0, [1, 2]), part(2, [3, 4], 2)]],
    ['beyond the end', [part(0, [1, 2, 3]), part(3, [4, 5])]],
    ['twice', [part(0, [1, 2]), part(0, [1, 2])]],
  ])('%s become nothing', (_name, taken) => {
    const parts = new ListParts()
    expect(taken.map((each) => parts.take(each))).toEqual(taken.map(() => undefined))
  })
})
