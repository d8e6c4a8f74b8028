// What of this machine the suite uses: programs by name, ports, and a line for those that are not there.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { deadlineMs } from '../program.ts'

/** Where Debian keeps what is not on everybody's PATH. */
const folders = ['/usr/sbin', '/sbin', ...postgresFolders()]

function postgresFolders(): string[] {
  try {
    return readdirSync('/usr/lib/postgresql').map((version) => join('/usr/lib/postgresql', version, 'bin'))
  } catch {
    return []
  }
}

/** The path of a program, or undefined. */
export function programPath(name: string): string | undefined {
  return [...(process.env.PATH ?? '').split(':'), ...folders]
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** Whether tests that need these programs are left out; says so in one line, with how to get them. */
export function lacks(what: string, packages: string, ...programs: readonly string[]): boolean {
  const lacking = programs.filter((name) => programPath(name) === undefined)
  if (lacking.length > 0) console.log(`left out: ${what}, for want of ${lacking.join(', ')}; apt-get install ${packages}`)
  return lacking.length > 0
}

export function pathOf(name: string): string {
  const path = programPath(name)
  if (path === undefined) throw new Error(`expected a program ${name}; found none`)
  return path
}

export const isRoot: boolean = process.getuid?.() === 0

/** Runs a program to its end. @throws with what it said when it fails */
export function runOnce(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stderr}`)
  return stdout
}

/** Resolves when something listens on the port. */
export async function answers(port: number): Promise<void> {
  const untilMs = performance.now() + deadlineMs
  for (;;) {
    const answered = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.destroy()
        done(true)
      })
      socket.once('error', () => done(false))
    })
    if (answered) return
    if (performance.now() > untilMs) throw new Error(`expected something to listen on ${port} within ${deadlineMs} ms`)
    await new Promise((done) => setTimeout(done, 20))
  }
}
