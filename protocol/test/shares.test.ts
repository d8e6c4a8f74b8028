import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type CryptoProvider,
  concat,
  deriveSessionSecrets,
  hex,
  PACKET_KIND,
  type PacketHeader,
  packetBytesMax,
  type SessionSecrets,
  type Share,
  ShareAssembler,
  type ShareAssemblerLimits,
  ShareEncoder,
  type ShareScheme,
  shareBytes,
  shareThreshold,
  simulatorCrypto,
  unhex,
  utf8,
} from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { shareBodyAt } from '../src/share/format.ts'
import { SetWindow } from '../src/share/set-window.ts'
import { seededRandom } from './seeded-random.ts'

const handshake = {
  initiatorKey: new Uint8Array(32).fill(1),
  responderKey: new Uint8Array(32).fill(2),
  handshakeHash: new Uint8Array(32).fill(3),
}
const connectionId = new Uint8Array(16).fill(4)
const cheap = simulatorCrypto(seededRandom(7))
const real = nodeCrypto()

const secretsOf = (role: 'caller' | 'listener', crypto: CryptoProvider = cheap, id: Uint8Array = connectionId): SessionSecrets =>
  deriveSessionSecrets(crypto, role, handshake, id)
const encoder = (crypto: CryptoProvider = cheap): ShareEncoder => new ShareEncoder(crypto, secretsOf('caller', crypto))
const assembler = (crypto: CryptoProvider = cheap, limits?: ShareAssemblerLimits): ShareAssembler =>
  new ShareAssembler(crypto, secretsOf('listener', crypto), limits)
const headerOf = (counter: number, epoch = 2, kind: number = PACKET_KIND.data): PacketHeader => ({ form: 0, kind, epoch, counter })

const split = (n: number): ShareScheme => ({ kind: 'split', n })
const disperse = (k: number, n: number): ShareScheme => ({ kind: 'disperse', k, n })
const schemes = [split(2), split(3), split(5), disperse(2, 2), disperse(2, 3), disperse(2, 4), disperse(3, 5), disperse(5, 16)]
const named = schemes.map((scheme): [string, ShareScheme] => [nameOf(scheme), scheme])

function nameOf(scheme: ShareScheme): string {
  return scheme.kind === 'split' ? `split(${scheme.n})` : `disperse(${scheme.k}, ${scheme.n})`
}

const anyScheme: fc.Arbitrary<ShareScheme> = fc.oneof(
  fc.integer({ min: 2, max: 16 }).map(split),
  fc.integer({ min: 2, max: 16 }).chain((k) => fc.integer({ min: k, max: 16 }).map((n) => disperse(k, n))),
)

// Made by an independent implementation of docs/protocol.md (HKDF, RFC 8439, GF(2⁸) written out in another language); the random bytes
// are 00, 01, 02, … as they are drawn.
describe('golden', () => {
  let drawn = 0
  const counting: CryptoProvider = { ...real, randomBytes: (length) => Uint8Array.from({ length }, () => drawn++) }
  const encode = new ShareEncoder(counting, secretsOf('caller', real))
  const header = headerOf(0x01_0203_0405)
  const packet = [utf8('sea'), utf8('led')]
  const shares = [encode.encode(header, packet, split(3)), encode.encode(header, packet, disperse(2, 4))]

  test('the share key of the caller', () => {
    expect(hex(secretsOf('caller', real).sendShareKey)).toBe('06219b7b149c29a29d0c01675eaafc56446cff2ef07f1434b8542668aed50a88')
    expect(secretsOf('listener', real).receiveShareKey).toEqual(secretsOf('caller', real).sendShareKey)
  })

  test.each([
    [0, 0, '0100030300000006000000000000000000010203040584b6e6fbef68ef7159025f089537be01'],
    [0, 1, '01010303000000060000000000000000060708090a0bf5411b6f6da6176423d5032fcc46b9f2'],
    [0, 2, '0102030300000006000000000000000075636b666b6a405dfcf84e044a896e6a7360063e3774'],
    [
      1,
      0,
      '020002040000000600000000000000012020202020202020202020202020202020202020606060606060606060606060d1993ffd00b6f57560f313ad54de6ada8114a55be556647d8d8eaf',
    ],
    [
      1,
      1,
      '0201020400000006000000000000000154575251707376757c7f7a79686b6e6d64676261a0a3a6a5acafaaa9b8bbbebddfbb772bb62144805958e5648106f996445ebdb23aa81ba4875267',
    ],
    [
      1,
      2,
      '02020204000000060000000000000001787a7c7e40424446484a4c4e50525456585a5c5ee0e2e4e6e8eaeceef0f2f4f60e2248d6b697b1f539abf6782b171d0c2374bd883c8078b57e401f',
    ],
    [
      1,
      3,
      '02030204000000060000000000000001bcb9b6b3d0d5dadfc4c1cecbf8fdf2f7ece9e6e33b3e31342f2a25201316191ca385ebeced91c06fb8d6f1d51345338ec0f8d0b486b8c86404afc2',
    ],
  ])('set %i, share %i', (set, index, bytes) => {
    expect(hex(concat(shares[set]![index]!.pieces))).toBe(bytes)
  })

  test('the listener reads them', () => {
    const reads = assembler(real)
    for (const share of shares[0]!.slice(0, 2)) expect(reads.take(share.header, share.pieces, 'r1')).toEqual({ type: 'waiting' })
    const whole = { type: 'packet', header, sealed: utf8('sealed') }
    expect(reads.take(shares[0]![2]!.header, shares[0]![2]!.pieces, 'r3')).toEqual(whole)
    expect(reads.take(shares[1]![3]!.header, shares[1]![3]!.pieces, 'r1')).toEqual({ type: 'waiting' })
    expect(reads.take(shares[1]![1]!.header, shares[1]![1]!.pieces, 'r2')).toEqual(whole)
  })
})

describe('shares', () => {
  test('any k of n, in any order, cut anywhere on the way, give the packet back; the others are late', () => {
    fc.assert(
      fc.property(anyScheme, fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(4), fc.integer(), (scheme, sealed, kindAt, seed) => {
        const kind = [PACKET_KIND.data, PACKET_KIND.control, PACKET_KIND.loose, PACKET_KIND.datagram][kindAt % 4]!
        const header = headerOf(2 ** 40 + 5, 65_535, kind)
        const shares = encoder().encode(header, cutUp(sealed, seed), scheme)
        const reads = assembler()
        const random = seededRandom(seed)
        const order = shares.map((share) => ({ share, at: random() })).sort((left, right) => left.at - right.at)
        const outcomes = order.map(({ share }) => {
          expect(share.bytes).toBe(shareBytes(scheme, sealed.length))
          return reads.take(share.header, cutUp(concat(share.pieces), seed + 1), `r${share.index}`)
        })
        const need = shareThreshold(scheme)
        expect(outcomes.slice(0, need - 1).every(({ type }) => type === 'waiting')).toBe(true)
        expect(outcomes[need - 1]).toEqual({ type: 'packet', header, sealed })
        expect(outcomes.slice(need).every(({ type }) => type === 'late')).toBe(true)
        expect(reads.held).toEqual({ bytes: 0, sets: 0, forgotten: 0 })
        expect(reads.liars.size).toBe(0)
      }),
      { numRuns: 300 },
    )
  })

  test.each(named)('%s works with the real ciphers, up to the longest packet it takes', (_name, scheme) => {
    const longest = packetBytesMax - 32
    expect(shareBytes(split(2), longest)).toBe(packetBytesMax)
    for (const length of [1, 2, 15, 16, 17, 1_199, 16_384, longest]) {
      const sealed = real.randomBytes(length)
      const reads = assembler(real)
      const shares = encoder(real).encode(headerOf(9), [sealed], scheme).reverse()
      const outcome = shares
        .slice(0, shareThreshold(scheme))
        .map((share) => reads.take(share.header, share.pieces, 'r'))
        .at(-1)!
      expect(outcome.type === 'packet' && Buffer.compare(outcome.sealed, sealed)).toBe(0)
    }
  })

  test('sets do not mix: a resend is shares of its own', () => {
    const writes = encoder()
    const reads = assembler()
    const first = writes.encode(headerOf(3), [utf8('packet')], split(2))
    const again = writes.encode(headerOf(3), [utf8('packet')], split(2))
    expect(hex(concat(first[1]!.pieces))).not.toBe(hex(concat(again[1]!.pieces)))
    expect(take(reads, first[0]!).type).toBe('waiting')
    expect(take(reads, again[1]!).type).toBe('waiting')
    expect(take(reads, again[0]!).type).toBe('packet')
    expect(take(reads, first[1]!).type).toBe('packet')
  })

  test('a copy counts once, on whatever path it came', () => {
    const reads = assembler()
    const shares = encoder().encode(headerOf(3), [utf8('packet')], disperse(2, 3))
    expect(take(reads, shares[0]!).type).toBe('waiting')
    expect(reads.take(shares[0]!.header, shares[0]!.pieces, 'another').type).toBe('late')
    expect(take(reads, shares[2]!).type).toBe('packet')
    expect(take(reads, shares[0]!).type).toBe('late')
    expect(reads.liars.size).toBe(0)
  })

  test.each([
    [split(1), 'bad_share_scheme'],
    [split(17), 'bad_share_scheme'],
    [split(2.5), 'bad_share_scheme'],
    [disperse(1, 3), 'bad_share_scheme'],
    [disperse(4, 3), 'bad_share_scheme'],
    [disperse(2, 17), 'bad_share_scheme'],
    [disperse(Number.NaN, 3), 'bad_share_scheme'],
  ])('%o is refused', (scheme, code) => {
    expect(() => encoder().encode(headerOf(0), [utf8('packet')], scheme)).toThrow(expect.objectContaining({ code }))
  })

  test('a packet whose share would not fit a hop entry is refused', () => {
    expect(() => encoder().encode(headerOf(0), [new Uint8Array(packetBytesMax - 31)], split(2))).toThrow(
      expect.objectContaining({ code: 'too_large' }),
    )
    expect(() => encoder().encode(headerOf(0), [], split(2))).toThrow(expect.objectContaining({ code: 'too_large' }))
  })
})

describe('what one relay sees', () => {
  const random = seededRandom(99)
  // True random bytes would make the statistics below fail once in a while for no reason.
  const seeded: CryptoProvider = { ...real, randomBytes: (length) => Uint8Array.from({ length }, () => Math.floor(random() * 256)) }

  test.each([2, 3, 4])('split(%i): any n − 1 shares fit every packet of that length equally well', (n) => {
    const body = (share: Share): Uint8Array => concat(share.pieces).subarray(16, -16)
    const shares = encoder(seeded).encode(headerOf(1), [utf8('attack at dawn')], split(n))
    for (let missing = 0; missing < n; missing += 1) {
      const others = shares.filter((_, index) => index !== missing).map(body)
      // For another packet there is exactly one missing share: the sum of it and of what is known.
      const needed = utf8('retreat slowly').map((value, at) => others.reduce((sum, other) => sum ^ other[at]!, value))
      const sum = needed.map((value, at) => others.reduce((total, other) => total ^ other[at]!, value))
      expect(sum).toEqual(utf8('retreat slowly'))
      expect(needed).not.toEqual(body(shares[missing]!))
    }
  })

  test.each(named)('%s: no share of a packet of zeros looks like anything but noise', (_name, scheme) => {
    const counts = Array.from({ length: scheme.n }, () => new Float64Array(256))
    const writes = encoder(seeded)
    const tests = 40
    const zeros = new Uint8Array(4_096)
    for (let round = 0; round < tests; round += 1) {
      for (const share of writes.encode(headerOf(round), [zeros], scheme)) {
        for (const value of concat(share.pieces).subarray(16, -16 - 16)) counts[share.index]![value]! += 1
      }
    }
    for (const count of counts) {
      const total = count.reduce((sum, value) => sum + value, 0)
      const chiSquare = count.reduce((sum, value) => sum + (value - total / 256) ** 2 / (total / 256), 0)
      // 255 degrees of freedom: mean 255, deviation 22.6. Five deviations either way; a run of plain zeros gives millions.
      expect(chiSquare).toBeGreaterThan(255 - 5 * 22.6)
      expect(chiSquare).toBeLessThan(255 + 5 * 22.6)
    }
  })

  test.each(named)('%s: no eight bytes of the packet stand in any share', (_name, scheme) => {
    const sealed = seeded.randomBytes(2_000)
    const seen = new Set<string>()
    for (const share of encoder(seeded).encode(headerOf(1), [sealed], scheme)) {
      const bytes = concat(share.pieces)
      for (let at = 0; at + 8 <= bytes.length; at += 1) seen.add(hex(bytes.subarray(at, at + 8)))
    }
    for (let at = 0; at + 8 <= sealed.length; at += 1) expect(seen.has(hex(sealed.subarray(at, at + 8)))).toBe(false)
  })
})

describe('a relay that lies', () => {
  test.each(named)('%s: every flipped byte is found and its relay named, and the packet still comes from true shares', (_name, scheme) => {
    const shares = encoder().encode(headerOf(5), [utf8('a sealed packet')], scheme)
    const whole = concat(shares[0]!.pieces)
    const reads = assembler()
    for (let at = 0; at < whole.length; at += 1) {
      for (const bit of [1, 0x80]) {
        const changed = whole.slice()
        changed[at]! ^= bit
        expect(reads.take(shares[0]!.header, [changed], 'liar')).toEqual({ type: 'forged' })
      }
    }
    expect([...reads.liars]).toEqual([['liar', 2 * whole.length]])
    expect(reads.held.bytes).toBe(0)
    const outcomes = shares.map((share) => take(reads, share))
    expect(outcomes.filter(({ type }) => type === 'packet')).toHaveLength(1)
    expect(reads.liars.size).toBe(1)
  })

  test.each([
    ['another counter', { counter: 6 }],
    ['another epoch', { epoch: 3 }],
    ['another kind', { kind: PACKET_KIND.control }],
    ['a kind that has no shares', { kind: PACKET_KIND.handshake }],
    ['a kind that is none', { kind: 9 }],
    ['another form', { form: 2 }],
    ['an epoch that is none', { epoch: 70_000 }],
    ['a counter that is none', { counter: -1 }],
  ])('is named when it puts a share under %s', (_why, change) => {
    const [share] = encoder().encode(headerOf(5), [utf8('packet')], split(2))
    const reads = assembler()
    expect(reads.take({ ...share!.header, ...change }, share!.pieces, 'liar')).toEqual({ type: 'forged' })
    expect([...reads.liars.keys()]).toEqual(['liar'])
  })

  test('is named for a share of another connection, and for our own sent back', () => {
    const reads = assembler()
    const other = new ShareEncoder(cheap, secretsOf('caller', cheap, new Uint8Array(16).fill(5)))
    const reflected = new ShareEncoder(cheap, secretsOf('listener'))
    for (const writes of [other, reflected]) {
      const [share] = writes.encode(headerOf(5), [utf8('packet')], split(2))
      expect(reads.take(share!.header, share!.pieces, 'liar')).toEqual({ type: 'forged' })
    }
  })

  test('is named also for a share that came too late to matter', () => {
    const reads = assembler()
    const shares = encoder().encode(headerOf(5), [utf8('packet')], disperse(2, 3))
    take(reads, shares[0]!)
    take(reads, shares[1]!)
    const changed = concat(shares[2]!.pieces).slice()
    changed[50]! ^= 4
    expect(reads.take(shares[2]!.header, [changed], 'r2')).toEqual({ type: 'forged' })
    expect([...reads.liars]).toEqual([['r2', 1]])
  })

  test('gets nothing allocated, whatever it claims, and nothing hangs', () => {
    const reads = assembler()
    const header = { form: 1, kind: 0, epoch: 0, counter: 0 }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (garbage, plausible) => {
        // Half of them with a header that is a share's: a set far ahead, a length of 4 GiB, or none.
        const bytes = plausible ? concat([unhex('02000204ffffffff001fffffffffffff'), garbage]) : garbage
        expect(reads.take(header, [bytes], 'liar')).toEqual({ type: 'forged' })
      }),
    )
    expect(reads.take(header, [new Uint8Array(packetBytesMax + 1)], 'liar')).toEqual({ type: 'forged' })
    expect(reads.held).toEqual({ bytes: 0, sets: 0, forgotten: 0 })
  })

  test('is one of at most 64 that are counted by name', () => {
    const reads = assembler()
    for (let index = 0; index < 100; index += 1) reads.take({ form: 1, kind: 0, epoch: 0, counter: 0 }, [new Uint8Array(40)], `r${index}`)
    expect(reads.liars.size).toBe(64)
  })
})

describe('a peer that lies', () => {
  /** Shares with a right tag and whatever body: only the peer can make them. */
  function forge(change: (share: Uint8Array, index: number) => void, scheme: ShareScheme): Share[] {
    const secrets = secretsOf('caller')
    const tags = cheap.aead(secrets.sendShareKey)
    return encoder()
      .encode(headerOf(5), [utf8('a sealed packet')], scheme)
      .map((share) => {
        const whole = concat([new Uint8Array(12), share.pieces[0]!])
        new DataView(whole.buffer).setUint8(0, 1)
        new DataView(whole.buffer).setUint16(2, share.header.epoch)
        new DataView(whole.buffer).setUint32(8, share.header.counter)
        change(whole, share.index)
        const nonce = concat([new Uint8Array(3), whole.subarray(13, 14), whole.subarray(20, 28)])
        return { ...share, pieces: [whole.subarray(12), ...tags.seal(nonce, whole, [])] }
      })
  }

  test('the forger of this test makes true shares when it changes nothing', () => {
    const reads = assembler()
    const outcomes = forge(() => {}, disperse(2, 3)).map((share) => take(reads, share).type)
    expect(outcomes).toEqual(['waiting', 'packet', 'late'])
  })

  test.each([
    ['an unknown scheme', (share: Uint8Array) => share.fill(3, 12, 13)],
    ['an index over n', (share: Uint8Array) => share.fill(3, 13, 14)],
    ['k of one', (share: Uint8Array) => share.fill(1, 14, 15)],
    ['more shares than there may be', (share: Uint8Array) => share.fill(17, 15, 16)],
    ['a length that is not its own', (share: Uint8Array) => share.fill(1, 16, 18)],
    ['a set over 2^53', (share: Uint8Array) => share.fill(0xff, 20, 21)],
  ])('is found out: %s', (_why, change) => {
    const [share] = forge(change, disperse(2, 3))
    expect(() => take(assembler(), share!)).toThrow(expect.objectContaining({ code: 'malformed' }))
  })

  test('is found out when its shares disagree on their packet', () => {
    const shares = forge(
      (share, index) => {
        if (index === 1) share[8]! ^= 1
      },
      disperse(2, 3),
    )
    const reads = assembler()
    take(reads, shares[0]!)
    const { header, pieces } = shares[1]!
    expect(() => reads.take({ ...header, counter: header.counter ^ 0x0100_0000 }, pieces, 'r')).toThrow(
      expect.objectContaining({ code: 'malformed' }),
    )
  })

  test('is found out when its shares hold no packet', () => {
    const shares = forge(
      (share, index) => {
        if (index === 1) share[shareBodyAt + 32 + 4]! ^= 1
      },
      disperse(2, 3),
    )
    const reads = assembler()
    take(reads, shares[0]!)
    expect(() => take(reads, shares[1]!)).toThrow(expect.objectContaining({ code: 'malformed' }))
  })
})

describe('memory', () => {
  test('incomplete sets are bounded in bytes and in number, oldest first; what was forgotten is simply sent again', () => {
    const reads = assembler(cheap, { bytesMax: 100_000, setsMax: 20 })
    const writes = encoder()
    const firsts = Array.from({ length: 100 }, (_, counter) => writes.encode(headerOf(counter), [new Uint8Array(10)], split(2)))
    for (const shares of firsts) take(reads, shares[0]!)
    expect(reads.held.sets).toBe(20)
    expect(reads.held.forgotten).toBe(80)
    expect(take(reads, firsts[99]![1]!).type).toBe('packet')
    expect(take(reads, firsts[0]![1]!).type).toBe('waiting')

    for (let counter = 100; counter < 200; counter += 1) {
      take(reads, writes.encode(headerOf(counter), [new Uint8Array(20_000)], split(2))[0]!)
      expect(reads.held.bytes).toBeLessThanOrEqual(100_000)
    }
    expect(reads.held.sets).toBe(4)
  })

  test('one set is kept however small the memory', () => {
    const reads = assembler(cheap, { bytesMax: 1, setsMax: 1 })
    const shares = encoder().encode(headerOf(0), [new Uint8Array(10)], split(3))
    expect(shares.map((share) => take(reads, share).type)).toEqual(['waiting', 'waiting', 'packet'])
    expect(reads.held.bytes).toBe(0)
  })

  test('a share that waits keeps no byte of the read buffer it came in', () => {
    const reads = assembler()
    const shares = encoder().encode(headerOf(0), [utf8('packet')], split(2))
    const buffer = concat(shares[0]!.pieces).slice()
    reads.take(shares[0]!.header, [buffer], 'r')
    buffer.fill(0)
    const outcome = take(reads, shares[1]!)
    expect(outcome.type === 'packet' && outcome.sealed).toEqual(utf8('packet'))
  })
})

describe('the window of finished sets', () => {
  test('says like a set of all numbers would, for as far back as it reaches', () => {
    const window = new SetWindow()
    const finished = new Set<number>()
    const random = seededRandom(3)
    let newest = 0
    for (let step = 0; step < 20_000; step += 1) {
      const number = Math.max(0, newest - Math.floor(random() * 70_000) + Math.floor(random() * 20))
      const open = !finished.has(number) && number > newest - 65_536
      expect(window.isOpen(number)).toBe(open)
      if (!open) continue
      window.close(number)
      finished.add(number)
      newest = Math.max(newest, number)
      if (step % 1_000 === 999) newest = jump(window, finished, newest + Math.floor(random() * 200_000))
    }
  })

  function jump(window: SetWindow, finished: Set<number>, to: number): number {
    window.close(to)
    finished.add(to)
    return to
  }
})

function take(reads: ShareAssembler, share: Share): ReturnType<ShareAssembler['take']> {
  return reads.take(share.header, share.pieces, `r${share.index}`)
}

function cutUp(bytes: Uint8Array, seed: number): Uint8Array[] {
  const random = seededRandom(seed)
  const pieces: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + Math.floor(random() * bytes.length)
    pieces.push(bytes.subarray(at, at + length))
    at += length
  }
  return pieces
}
