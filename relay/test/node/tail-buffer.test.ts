import { describe, expect, it } from 'vitest'
import { TailBuffer } from '../../src/node/tail-buffer.ts'

const text = (buffer: TailBuffer): string => Buffer.concat(buffer.unsentPieces()).toString()
const piece = (value: string): Uint8Array => Buffer.from(value)

describe('the tail of a stream', () => {
  it('gives what is unsent, once', () => {
    const tail = new TailBuffer()
    expect(tail.push([piece('abc'), piece('def')])).toBe(6)
    expect(text(tail)).toBe('abcdef')
    tail.sent()
    expect(text(tail)).toBe('')
    tail.push([piece('gh')])
    expect(text(tail)).toBe('gh')
    expect(tail.unsentBytes).toBe(2)
  })

  it('goes back to any byte that is not acknowledged, also inside a piece', () => {
    const tail = new TailBuffer()
    tail.push([piece('abc'), piece('def')])
    tail.sent()
    expect(tail.rewind(4)).toBe(true)
    expect(text(tail)).toBe('ef')
    expect(tail.rewind(3)).toBe(true)
    expect(text(tail)).toBe('def')
    // All before 3 was acknowledged and is gone.
    expect(tail.rewind(2)).toBe(false)
    expect(tail.rewind(7)).toBe(false)
    expect(tail.rewind(6)).toBe(true)
    expect(text(tail)).toBe('')
  })

  it('keeps 2 MiB of what was sent, and all of what was not', () => {
    const tail = new TailBuffer()
    const block = new Uint8Array(64 * 1024)
    for (let count = 0; count < 100; count += 1) {
      tail.push([block])
      tail.sent()
    }
    const end = 100 * block.length
    expect(tail.rewind(end - 2 * 1024 * 1024)).toBe(true)
    expect(tail.unsentBytes).toBe(2 * 1024 * 1024)
    expect(tail.rewind(end - 3 * 1024 * 1024)).toBe(false)
  })
})
