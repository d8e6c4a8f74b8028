import { describe, expect, it } from 'vitest'
import { ReadBlocks, SocketReads } from '../../src/forward/read-blocks.ts'

/** Reads one full block in steps of 64 KiB and returns its memory. */
function fill(reads: SocketReads, sealedBytes: number): ArrayBufferLike {
  const memory = reads.next(sealedBytes).buffer
  for (let read = 0; read < 4; read += 1) {
    expect(reads.next(sealedBytes).buffer).toBe(memory)
    reads.take(64 * 1024)
  }
  return memory
}

describe('memory that a spliced socket is read into', () => {
  it('is cut from the front, and no byte of it is given out twice', () => {
    const reads = new SocketReads(new ReadBlocks())
    const [first, second] = [1_000, 2_000].map((length) => {
      reads.next(0)
      return reads.take(length)
    })
    expect(first!.buffer).toBe(second!.buffer)
    expect(second!.byteOffset).toBe(first!.byteOffset + first!.length)
  })

  it('is used again only when the stream has sealed the last byte of it', () => {
    const reads = new SocketReads(new ReadBlocks())
    const first = fill(reads, 0)
    const second = fill(reads, 256 * 1024 - 1)
    expect(second).not.toBe(first)
    expect(fill(reads, 256 * 1024)).toBe(first)
    // The second is still not sealed, though the first went round.
    expect(fill(reads, 512 * 1024 - 1)).not.toBe(second)
  })

  it('goes to another socket of the service as well, and never to two at a time', () => {
    const blocks = new ReadBlocks()
    const [one, two, three] = [new SocketReads(blocks), new SocketReads(blocks), new SocketReads(blocks)]
    const memory = fill(one, 0)
    one.next(256 * 1024)
    const later = two.next(0).buffer
    expect([memory, later]).toContain(memory)
    expect(new Set([one.next(256 * 1024).buffer, later, three.next(0).buffer]).size).toBe(3)
  })
})
