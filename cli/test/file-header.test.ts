// What a sender may claim about a file, and what the receiver makes of it.
import { describe, expect, it } from 'vitest'
import { encodeHeader, parseAnswer, parseHeader, safeName } from '../src/file-header.ts'

describe('the name of a received file', () => {
  it.each([
    ['photo.jpg', 'photo.jpg', 'an honest name stays'],
    ['../../escape.txt', 'escape.txt', 'the folder is ours to choose'],
    ['/etc/passwd', 'passwd', 'an absolute path, too'],
    ['..\\..\\escape.txt', 'escape.txt', 'and one of another system'],
    ['..', '_', 'a folder is no name'],
    ['', 'file', 'nothing is none either'],
    ['folder/', 'file', 'nor is a folder with its slash'],
    ['.bashrc', '_bashrc', 'a hidden file could become somebody’s settings'],
    ['a\u001b[2Jb\n.txt', 'a_[2Jb_.txt', 'a terminal would obey'],
    ['txt.\u202egpj.exe', 'txt._gpj.exe', 'a reader would see another ending'],
    ['a\u0000b', 'a_b', 'the system would refuse it'],
    [`${'ä'.repeat(120)}.txt`, `${'ä'.repeat(98)}.txt`, 'file systems take 255 bytes, not letters'],
    [`a.${'b'.repeat(300)}`, `a.${'b'.repeat(198)}`, 'what is too long to be an ending is none'],
  ])('%j becomes %j: %s', (claimed, stored) => {
    expect(safeName(claimed)).toBe(stored)
    expect(Buffer.byteLength(safeName(claimed))).toBeLessThanOrEqual(200)
  })
})

describe('the header of a file', () => {
  it('fits the opening of a stream, whatever the name', () => {
    for (const name of ['x', '"'.repeat(255), '\u0001'.repeat(255), 'ä'.repeat(127), '😀'.repeat(60)]) {
      const header = encodeHeader(name, Number.MAX_SAFE_INTEGER, 1_700_000_000_123)
      expect(header.length).toBeLessThanOrEqual(1024)
      expect(parseHeader(header)).toEqual({ name: safeName(name), size: Number.MAX_SAFE_INTEGER, changedMs: 1_700_000_000_123 })
    }
  })

  it.each(['', 'null', '[]', '{"size":1}', '{"name":"x"}', '{"name":"x","size":-1}', '{"name":"x","size":1.5}', '{"name":1,"size":1}'])(
    'is refused when it is %j',
    (text) => {
      expect(() => parseHeader(new TextEncoder().encode(text))).toThrow(expect.objectContaining({ code: 'file_invalid' }))
    },
  )

  it('an answer cannot drive the terminal of the sender', () => {
    expect(parseAnswer('{"ok":false,"reason":"a\\u001b[2Jb"}')).toMatchObject({ ok: false, reason: 'a_[2Jb' })
    expect(parseAnswer('nonsense')).toBeUndefined()
  })
})
