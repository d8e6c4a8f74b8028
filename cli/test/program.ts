// Runs the real program in real processes: each test in a folder of its own, waiting for lines and exits with deadlines, never for time.
// What was started is ended by pid, whatever happened.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach } from 'vitest'

export const bin: string = fileURLToPath(new URL('../bin/sennit.mjs', import.meta.url))
if (!existsSync(fileURLToPath(new URL('../dist/main.js', import.meta.url)))) {
  throw new Error('process tests run the build: expected cli/dist/main.js, found none; run `npx tsc -b` first')
}

/** How long a thing may take that takes a second on a quiet machine; suites share two busy cores. */
export const deadlineMs = 20_000

/** How often something is looked at that tells nobody when it changes: a folder, a process. */
const lookEveryMs = 20

/** Resolves when something is so that tells nobody when it becomes so. */
export function until(isSo: () => boolean, what: string, withinMs: number = deadlineMs): Promise<void> {
  return new Promise((done, fail) => {
    const untilMs = performance.now() + withinMs
    const look = (): void => {
      if (isSo()) done()
      else if (performance.now() > untilMs) fail(new Error(`expected ${what} within ${withinMs} ms`))
      else setTimeout(look, lookEveryMs)
    }
    look()
  })
}

export type Json = Record<string, unknown>

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** One running program, its lines so far and to come. */
export class Program {
  readonly pid: number
  readonly exited: Promise<Exit>
  readonly #child: ChildProcess
  readonly #name: string
  readonly #waiters = new Set<() => void>()
  #stdout = ''
  #stderr = ''
  #exit: Exit | undefined

  constructor(command: string, args: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}) {
    this.#name = [command.split('/').at(-1), ...args].join(' ')
    this.#child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...cleanEnvironment(), ...options.env },
    })
    this.pid = this.#child.pid ?? 0
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#changed()
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      this.#changed()
    })
    this.exited = new Promise((done) => {
      this.#child.once('error', (error) => {
        this.#stderr += String(error)
        done({ code: null, signal: null })
      })
      // 'close' comes after the last output was read.
      this.#child.once('close', (code, signal) => {
        this.#exit = { code, signal }
        this.#changed()
        done(this.#exit)
      })
    })
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  get running(): boolean {
    return this.#exit === undefined
  }

  /** Every whole line of stdout as JSON; throws when one is not. */
  get json(): Json[] {
    return this.#stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Json)
  }

  /** The first JSON line of stdout that fits, from `after` lines on. */
  async line(fits: (line: Json) => boolean, withinMs: number = deadlineMs): Promise<Json> {
    return await this.#until(() => this.json.find(fits), 'a fitting line on stdout', withinMs)
  }

  async ready(): Promise<Json> {
    return await this.line((line) => line.ready === true)
  }

  /** Resolves when stderr has something that fits. */
  async says(pattern: RegExp, withinMs: number = deadlineMs): Promise<string> {
    return await this.#until(() => pattern.exec(this.#stderr)?.[0], `${pattern} on stderr`, withinMs)
  }

  /** Its exit, within a deadline. */
  async end(withinMs: number = deadlineMs): Promise<Exit> {
    return await this.#until(() => this.#exit, 'the end of the program', withinMs, true)
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  async stop(name: NodeJS.Signals = 'SIGINT'): Promise<Exit> {
    this.signal(name)
    return await this.end()
  }

  #changed(): void {
    for (const waiter of [...this.#waiters]) waiter()
  }

  #until<T>(look: () => T | undefined, what: string, withinMs: number, endIsFine = false): Promise<T> {
    return new Promise((done, fail) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer)
        this.#waiters.delete(check)
        act()
      }
      const tell = (why: string): Error =>
        new Error(`${this.#name}: expected ${what}; ${why}\nstdout: ${this.#stdout}\nstderr: ${this.#stderr.slice(-4_000)}`)
      const check = (): void => {
        try {
          const found = look()
          if (found !== undefined) settle(() => done(found))
          else if (this.#exit !== undefined && !endIsFine) settle(() => fail(tell(`it ended with ${JSON.stringify(this.#exit)}`)))
        } catch (error) {
          settle(() => fail(tell(String(error))))
        }
      }
      const timer = setTimeout(() => settle(() => fail(tell(`not within ${withinMs} ms`))), withinMs)
      this.#waiters.add(check)
      check()
    })
  }
}

/** One for every test of a suite: each finds it empty, and what it left is ended after it. */
export function workshopForEach(): Workshop {
  const shop = new Workshop()
  afterEach(() => shop.close(), 30_000)
  return shop
}

/** A folder, and everything that runs in it. Closed, it is empty and can be used again. */
export class Workshop {
  /** The program, for whoever starts it otherwise. */
  readonly bin: string = bin
  readonly #programs: Program[] = []
  readonly #cleanups: (() => void | Promise<void>)[] = []
  #dir: string | undefined

  get dir(): string {
    this.#dir ??= mkdtempSync(join(tmpdir(), 'sennit-cli-'))
    return this.#dir
  }

  path(...parts: string[]): string {
    return join(this.dir, ...parts)
  }

  /** Starts `sennit …`. */
  sennit(...args: string[]): Program {
    return this.program(process.execPath, [bin, ...args])
  }

  program(command: string, args: readonly string[], env: Record<string, string> = {}): Program {
    const program = new Program(command, args, { cwd: this.dir, env })
    this.#programs.push(program)
    return program
  }

  /** Runs `sennit …` to its end. */
  async run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string; json: Json[] }> {
    const program = this.sennit(...args)
    const { code } = await program.end(60_000)
    const { stdout, stderr } = program
    return {
      code,
      stdout,
      stderr,
      get json() {
        return program.json
      },
    }
  }

  onEnd(cleanup: () => void | Promise<void>): void {
    this.#cleanups.push(cleanup)
  }

  /** Ends everything by pid, and removes the folder. */
  async close(): Promise<void> {
    const programs = this.#programs.splice(0).reverse()
    for (const program of programs) {
      if (!program.running) continue
      program.signal('SIGCONT')
      program.signal('SIGKILL')
    }
    await Promise.all(programs.map((program) => program.exited))
    for (const cleanup of this.#cleanups.splice(0).reverse()) await cleanup()
    if (this.#dir !== undefined) rmSync(this.#dir, { recursive: true, force: true })
    this.#dir = undefined
  }
}

/** Our own settings and proxies of whoever runs the tests must not reach the programs under test. */
function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(SENNIT_.*|https?_proxy|no_proxy|all_proxy|NODE_OPTIONS|VITEST.*)$/i.test(name),
  )
  return Object.fromEntries(kept) as Record<string, string>
}
