// How a file travels: one stream a file. The stream opens with a header (JSON: name, size, time of the last change). The receiver answers with a
// line of JSON: how many bytes of it lie there from an earlier try, and their SHA-256. The sender says where it begins (u64): there, if its own
// bytes have that hash, else at 0; then come the bytes, then the SHA-256 of the whole file (32 bytes). The receiver ends with a line of JSON:
// whether what it stored has that hash.
import { basename } from 'node:path'
import { codedError } from './exit-codes.ts'

/** A u64, big endian. */
export const startBytes = 8
/** SHA-256. */
export const hashBytes = 32
/** An answer is one short JSON object. */
export const answerBytesMax = 4_096
/** File systems take names of 255 bytes; this leaves room for ` (1234)` and for the temporary name. */
const nameBytesMax = 200
/** `.sqlite3-journal` and longer; what comes after a dot in a sentence is no ending. */
const endingBytesMax = 32

export interface FileHeader {
  readonly name: string
  readonly size: number
  /** When the sender's file was last changed: another version is another file. */
  readonly changedMs: number
}

export interface FileAnswer {
  readonly ok: boolean
  readonly reason: string
  /** In the first answer: bytes that the receiver has, and their hash. */
  readonly have: number
  readonly sha256: string
}

export interface Transferred {
  readonly bytes: number
  readonly sha256: string
  /** Where this try began; 0 without an earlier one. */
  readonly resumedFrom: number
}

export function encodeHeader(path: string, size: number, changedMs: number): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ name: safeName(basename(path)), size, changedMs }))
}

/** @throws CodedError `file_invalid` */
export function parseHeader(bytes: Uint8Array): FileHeader {
  let value: { name?: unknown; size?: unknown; changedMs?: unknown } | null
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as typeof value
  } catch {
    value = null
  }
  if (typeof value?.name !== 'string' || !Number.isSafeInteger(value.size) || (value.size as number) < 0) {
    throw codedError('file_invalid', 'expected a stream that opens with { name, size }; found another header')
  }
  return { name: safeName(value.name), size: value.size as number, changedMs: Number(value.changedMs ?? 0) || 0 }
}

export function parseAnswer(text: string): FileAnswer | undefined {
  try {
    const value = JSON.parse(text) as { ok?: unknown; reason?: unknown; have?: unknown; sha256?: unknown } | null
    const have = Number.isSafeInteger(value?.have) ? (value?.have as number) : 0
    return {
      ok: value?.ok === true,
      reason: printable(String(value?.reason ?? 'no reason given')),
      have,
      sha256: String(value?.sha256 ?? ''),
    }
  } catch {
    return undefined
  }
}

/**
 * The last part of a name only, with nothing that a shell, a terminal or a file system could trip over: the sender chooses neither our folders
 * nor hidden files such as `.bashrc`.
 */
export function safeName(name: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? ''
  const clean = printable(last).replace(/^\.+/, '_').trim()
  return clean === '' ? 'file' : shortened(clean)
}

/** Control characters, and marks that turn the direction of writing, replaced: they can make a terminal or a reader see another name. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu, '_')
}

/** Cut to what file systems take, in whole characters, its ending kept. */
function shortened(name: string): string {
  if (Buffer.byteLength(name) <= nameBytesMax) return name
  const { stem, ending } = splitEnding(name)
  const characters = [...stem]
  while (characters.length > 1 && Buffer.byteLength(characters.join('')) + Buffer.byteLength(ending) > nameBytesMax) characters.pop()
  return characters.join('') + ending
}

/** `photo` and `.jpg`. What is too long to be an ending is none. */
export function splitEnding(name: string): { stem: string; ending: string } {
  const dot = name.lastIndexOf('.')
  if (dot <= 0 || Buffer.byteLength(name.slice(dot)) > endingBytesMax) return { stem: name, ending: '' }
  return { stem: name.slice(0, dot), ending: name.slice(dot) }
}
