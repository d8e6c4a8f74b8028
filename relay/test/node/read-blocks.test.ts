/** When a block of read memory may be read into again: only when everything that was read into it has left. */

import { describe, expect, it } from 'vitest'
import { ReadBlocks } from '../../src/node/read-blocks.ts'

describe('a block', () => {
  it('is used again when it is full and all that packets held of it was written', () => {
    const blocks = new ReadBlocks()
    const block = blocks.take()
    const [first, second] = [block.subarray(0, 1000), block.subarray(1000, 3000)]
    blocks.hold(first, 900)
    blocks.hold(second, 2000)
    blocks.full(second)
    blocks.written([first.subarray(100), second.subarray(0, 500)])
    expect(blocks.take().buffer, 'a part of it waits to be written').not.toBe(block.buffer)
    blocks.written([second.subarray(500)])
    expect(blocks.take().buffer).toBe(block.buffer)
  })

  it('is not used again while it is read into, though nothing of it is held', () => {
    const blocks = new ReadBlocks()
    const block = blocks.take()
    blocks.hold(block.subarray(0, 10), 10)
    blocks.written([block.subarray(0, 10)])
    expect(blocks.take().buffer).not.toBe(block.buffer)
    blocks.full(block)
    expect(blocks.take().buffer).toBe(block.buffer)
  })

  it('is used again after a chunk that was written before it was counted', () => {
    const blocks = new ReadBlocks()
    const block = blocks.take()
    blocks.written([block.subarray(0, 10)])
    blocks.hold(block.subarray(0, 10), 10)
    blocks.full(block)
    expect(blocks.take().buffer).toBe(block.buffer)
  })

  it('is never used again when nobody can tell what holds it, or when a packet in it was dropped', () => {
    const blocks = new ReadBlocks()
    const [unknown, dropped] = [blocks.take(), blocks.take()]
    blocks.hold(unknown, Number.POSITIVE_INFINITY)
    blocks.written([unknown])
    blocks.full(unknown)
    blocks.hold(dropped, 300)
    blocks.written([dropped.subarray(0, 200)])
    blocks.full(dropped)
    expect([unknown.buffer, dropped.buffer]).not.toContain(blocks.take().buffer)
  })

  it('is told apart from other memory', () => {
    const blocks = new ReadBlocks()
    expect(blocks.lieHere([new Uint8Array(5), blocks.take().subarray(7, 9)])).toBe(true)
    expect(blocks.lieHere([new Uint8Array(5)])).toBe(false)
    blocks.written([new Uint8Array(5)])
    blocks.full(new Uint8Array(5))
  })
})
