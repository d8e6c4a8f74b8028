/** Files that are replaced whole or not at all, and one writer of a directory at a time. */

import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { open, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SennitError } from '../errors.ts'

/** Only the owner reads it: keys and credentials. */
export const privateMode = 0o600

/** Everybody may read it: certificates, lists, configuration. */
export const publicMode = 0o644

/** Longer than any writer holds the lock (a few file writes). */
const lockWithinMs = 10_000

/** Between two looks at the lock. */
const lockPauseMs = 20

/**
 * Writes `bytes` to a new file beside `file` and renames it over: a reader sees the old or the new content, never a part.
 * @param durable also after a crash of the machine; false saves the milliseconds of a disk
 */
export function writeFileAtomically(file: string, bytes: Uint8Array | string, mode: number, durable = true): void {
  mkdirSync(dirname(file), { recursive: true })
  const fresh = `${file}.${randomBytes(6).toString('hex')}.tmp`
  const handle = openSync(fresh, 'wx', mode)
  try {
    try {
      writeFileSync(handle, bytes)
      // Without it a crash of the machine may leave the new name on an empty file.
      if (durable) fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    renameSync(fresh, file)
  } catch (cause) {
    rmSync(fresh, { force: true })
    throw cause
  }
}

/** Reads `file`. @throws SennitError `file_unreadable` that names it */
export function readNamedFile(file: string, what: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new SennitError('file_unreadable', `expected ${what} in ${file}: ${(cause as Error).message}`, { file }, cause)
  }
}

/** Runs `work` while no other process writes in `directory`. A lock whose owner is gone is taken over. */
export async function withLock<T>(directory: string, work: () => T): Promise<T> {
  const file = join(directory, '.lock')
  const deadlineMs = Date.now() + lockWithinMs
  while (!(await tryLock(file))) {
    const owner = await readFile(file, 'utf8').catch(() => '')
    if (owner !== '' && !isRunning(Number(owner))) await rm(file, { force: true })
    else if (Date.now() > deadlineMs) {
      throw new SennitError('directory_locked', `${file} is held by process ${owner || '?'}; if that is none of yours, remove the file`, {
        file,
      })
    } else await delay(lockPauseMs)
  }
  try {
    return work()
  } finally {
    await rm(file, { force: true })
  }
}

async function tryLock(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx', privateMode)
    await handle.writeFile(String(process.pid))
    await handle.close()
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw cause
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
