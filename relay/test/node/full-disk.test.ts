import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const source = fileURLToPath(new URL('../../dist/node/log-destination.js', import.meta.url))

/** A program that logs twenty lines to its stderr, then answers on stdout and ends by itself. */
const program = `
import { LogDestination } from ${JSON.stringify(source)}
const log = new LogDestination(2)
let lines = 0
const timer = setInterval(() => {
  log.write('a line of the log\\n')
  if (++lines < 20) return
  clearInterval(timer)
  log.flushSync()
  console.log('alive')
}, 5)
`

async function run(stderr: number | 'pipe'): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', stderr] })
  let [out, err] = ['', '']
  child.stdout!.on('data', (bytes) => {
    out += bytes
  })
  child.stderr?.on('data', (bytes) => {
    err += bytes
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  const code = await new Promise<number | null>((tell) => child.once('close', tell))
  clearTimeout(timer)
  return { code, out, err }
}

describe('the log of a relay', () => {
  it('is written line by line, in order', async () => {
    const { code, err } = await run('pipe')
    expect(code).toBe(0)
    expect(err).toBe('a line of the log\n'.repeat(20))
  })

  it.skipIf(!existsSync('/dev/full'))('costs lines and never the process when the disk is full', async () => {
    const full = openSync('/dev/full', 'w')
    const { code, out } = await run(full)
    closeSync(full)
    expect({ code, out }).toEqual({ code: 0, out: 'alive\n' })
  })
})
