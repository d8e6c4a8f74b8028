// The guard of a run: what it leaves alone when the run ends by itself. What it does when the run is killed is tested with a real run.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Guard } from '../../src/live/guard.ts'

it('touches neither the folder nor a process that was forgotten, when it is told to end', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'sennit-guard-'))
  const [kept, left] = [spawn('sleep', ['60']), spawn('sleep', ['60'])]
  const gone = new Promise<NodeJS.Signals | null>((done) => left.once('exit', (_code, signal) => done(signal)))
  try {
    left.kill('SIGSTOP')
    const guard = new Guard(dir)
    guard.watch(kept.pid)
    guard.watch(left.pid)
    guard.forget(kept.pid)
    await guard.end()
    expect(await gone).toBe('SIGKILL')
    expect(existsSync(dir)).toBe(true)
    expect(kept.exitCode ?? kept.signalCode).toBeNull()
  } finally {
    kept.kill('SIGKILL')
    left.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  }
})
