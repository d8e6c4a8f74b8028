import { describe, expect, it } from 'vitest'
import { ReadyQueue } from '../../src/core/streams/ready-queue.ts'
import { Reassembly } from '../../src/core/streams/reassembly.ts'
import { isKey, keyBytes, seeded } from './pipe.ts'

describe('reassembly', () => {
  it('delivers every byte once and in order, whatever overlaps, in any order', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = seeded(seed)
      const longest = [3, 50, 1_000, 9_000][seed % 4]!
      const length = 1 + Math.floor(random() * Math.min(60_000, longest * 100))
      const count = { parts: 0 }
      const assembly = new Reassembly(count)
      let delivered = 0
      const deliver = (chunk: Uint8Array): void => {
        expect(isKey(chunk, seed, delivered)).toBe(true)
        delivered += chunk.length
      }
      // Random parts first, then all that is missing from behind, so that everything has come at the end.
      const parts: [number, number][] = []
      for (let i = 0; i < 60; i++) {
        const start = Math.floor(random() * length)
        parts.push([start, Math.min(length, start + Math.floor(random() * longest))])
      }
      const step = Math.max(1, Math.floor(longest / 2))
      for (let end = length; end > 0; end -= step) parts.push([Math.max(0, end - step), end])
      const seen = new Uint8Array(length)
      for (const [start, end] of parts) {
        assembly.insert(start, keyBytes(seed, start, end - start), deliver)
        seen.fill(1, start, end)
        if (length < 300) expect(assembly.received).toBe(seen.reduce((sum, one) => sum + one, 0))
      }
      expect(delivered).toBe(length)
      expect(assembly.inOrder).toBe(length)
      expect(assembly.highest).toBe(length)
      expect(assembly.received).toBe(length)
      expect(count.parts).toBe(0)
    }
  })

  it('lets small neighbours behind a gap grow together', () => {
    const count = { parts: 0 }
    const assembly = new Reassembly(count)
    for (let at = 1; at < 100_000; at += 100) assembly.insert(at, keyBytes(1, at, 100), () => {})
    expect(count.parts).toBeLessThan(20)
    let delivered = 0
    assembly.insert(0, keyBytes(1, 0, 1), (chunk) => {
      expect(isKey(chunk, 1, delivered)).toBe(true)
      delivered += chunk.length
    })
    expect(delivered).toBe(100_001)
  })

  it('copies small waiting parts, whose packet may be reused for nothing else, even out of a Buffer', () => {
    const assembly = new Reassembly({ parts: 0 })
    const packet = Buffer.from(keyBytes(1, 0, 100))
    assembly.insert(50, packet.subarray(50, 60), () => {})
    packet.fill(0)
    const chunks: Uint8Array[] = []
    assembly.insert(0, keyBytes(1, 0, 50), (chunk) => chunks.push(chunk))
    expect(isKey(chunks[1]!, 1, 50)).toBe(true)
  })
})

describe('the ready queue', () => {
  it('gathers small chunks once a reader is slow, and keeps the order', () => {
    const queue = new ReadyQueue()
    for (let at = 0; at < 500_000; at += 10) queue.push(keyBytes(2, at, 10))
    expect(queue.bytes).toBe(500_000)
    let at = 0
    expect(queue.takeByte()).toBe(keyBytes(2, 0, 1)[0])
    at++
    const exact = queue.takeExactly(5_000)
    expect(isKey(exact, 2, at)).toBe(true)
    at += exact.length
    const pieces = queue.take(Number.POSITIVE_INFINITY)
    expect(pieces.length).toBeLessThan(120)
    for (const piece of pieces) {
      expect(isKey(piece, 2, at)).toBe(true)
      at += piece.length
    }
    expect(at).toBe(500_000)
  })

  it('does not hold a large packet for a few bytes', () => {
    const queue = new ReadyQueue()
    queue.push(new Uint8Array(65_536).subarray(0, 10))
    expect(queue.take(10)[0]!.buffer.byteLength).toBe(10)
  })
})
