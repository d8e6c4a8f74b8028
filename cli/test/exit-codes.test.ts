// Exit codes are a promise to scripts: every code that the sources raise must have been thought about.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SennitError } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { codedError, exitCodeOf, exitCodeOfUncaught, usageError } from '../src/exit-codes.ts'
import { bin, Workshop } from './program.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Codes that mean our own fault, or that never end a command. */
const bugs = new Set([
  'bug', // says so
  'internal', // a fault of this program
  'bad_error_code', // an API used wrongly, as the next ones
  'handshake_done',
  'handshake_failed',
  'message_queue_full',
  'stream_overfull',
  'stream_unknown',
  'too_many_streams',
  'message_too_large',
  'message_refused',
  'bad_public_key', // a peer whose bytes are wrong: the connection ends with another code
  'bad_record',
  'control_overflow',
  'credit_invalid',
  'final_size',
  'flow_control',
  'handshake_too_large',
  'malformed',
  'message_unknown',
  'stream_limit',
  'stream_parity',
  'too_many_parts',
  'unexpected_message',
  'file_invalid', // notes of `receive`, which goes on
  'file_write',
])

function sources(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
}

describe('exit codes', () => {
  it('know every code that is raised anywhere', () => {
    const raised = new Set<string>()
    for (const folder of ['protocol', 'client', 'relay', 'loadtest', 'cli']) {
      for (const text of sources(join(root, folder, 'src'))) {
        for (const [, code = ''] of text.matchAll(/(?:SennitError|ProtocolError|codedError)\(\s*'([a-z_]+)'/g)) raised.add(code)
      }
    }
    expect(raised.size).toBeGreaterThan(50)
    const unknown = [...raised].filter((code) => exitCodeOf(new SennitError(code, '')) === 1 && !bugs.has(code))
    expect(unknown).toEqual([])
    const both = [...bugs].filter((code) => exitCodeOf(new SennitError(code, '')) !== 1)
    expect(both).toEqual([])
  })

  it.each([
    [usageError('x'), 2],
    [new SennitError('not_registered', ''), 3],
    [new SennitError('certificate_expired', ''), 3],
    [codedError('credential_malformed', ''), 3],
    [new SennitError('no_peer', ''), 4],
    [new SennitError('timeout', ''), 4],
    [codedError('interrupted', ''), 130],
    [Object.assign(new Error('EACCES'), { code: 'EACCES', syscall: 'open' }), 2],
    [new TypeError('x is undefined'), 1],
    ['a string', 1],
  ])('%s gives %i', (error, code) => {
    expect(exitCodeOf(error)).toBe(code)
  })
  it.each([
    [new SennitError('stream_closed', ''), 1],
    [usageError('x'), 1],
    [codedError('interrupted', ''), 130],
    [Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' }), 2],
    [new TypeError('x is undefined'), 1],
  ])('%s that nobody caught gives %i', (error, code) => {
    expect(exitCodeOfUncaught(error)).toBe(code)
  })

  it('of an error that nobody caught ends the program, in the words of a bug', async () => {
    const shop = new Workshop()
    const thrown = 'Object.assign(new Error("gone"), { code: "stream_closed", facts: {} })'
    const whenHandled = `process.on("newListener", (name) => name === "uncaughtException" && setImmediate(() => { throw ${thrown} }))`
    try {
      const program = shop.program(process.execPath, ['--import', `data:text/javascript,${whenHandled}`, bin, 'mesh', 'up'])
      expect(await program.end()).toEqual({ code: 1, signal: null })
      expect(program.stderr).toMatch(/this is a bug.*nobody caught stream_closed: gone/)
    } finally {
      await shop.close()
    }
  })
})
