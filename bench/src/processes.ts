// Child processes of a benchmark: started, waited for until they say `ready`, ended for sure.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const rolePath = fileURLToPath(new URL('./roles/role.js', import.meta.url))
/** One measurement that takes longer than this hangs. */
const measureTimeoutMs = 180_000

/** A folder and the processes of a benchmark, both gone when this process ends, however it does. `name` is part of the folder's name. */
export function startBench(name: string): { readonly dir: string; readonly processes: Processes } {
  const dir = mkdtempSync(join(tmpdir(), `sennit-${name}-`))
  const processes = new Processes()
  process.on('exit', () => {
    processes.end()
    rmSync(dir, { recursive: true, force: true })
  })
  process.on('SIGINT', () => process.exit(130))
  process.on('SIGTERM', () => process.exit(143))
  return { dir, processes }
}

/** A role that runs. */
export interface Child {
  /** Of its ready line. */
  readonly facts: unknown
  /** Writes a line to it, and gives the next that it says. */
  ask(what: string): Promise<unknown>
}

export class Processes {
  readonly #children: ChildProcess[] = []

  /** Starts one of our roles and gives the facts of its ready line. */
  async role(name: string, ...args: (string | number)[]): Promise<{ port: number }> {
    const { facts } = await this.child(name, args)
    return facts as { port: number }
  }

  /** As {@link role}, for one that is asked things later. */
  async child(name: string, args: readonly (string | number)[], nodeOptions: readonly string[] = []): Promise<Child> {
    const process_ = spawn(process.execPath, [...nodeOptions, rolePath, name, ...args.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#children.push(process_)
    const lines = new Lines(process_, name)
    const facts = await lines.next()
    return {
      facts,
      ask: (what) => {
        process_.stdin.write(`${what}\n`)
        return lines.next()
      },
    }
  }

  /** Starts another program, which says nothing when it is ready. */
  program(command: string, args: readonly string[]): ChildProcess {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'ignore'] })
    this.#children.push(child)
    return child
  }

  end(): void {
    for (const child of this.#children.splice(0)) child.kill('SIGKILL')
  }
}

/** Runs a source role to its end and gives its one JSON line. */
export async function measure(
  name: string,
  args: readonly (string | number)[],
  timeoutMs: number = measureTimeoutMs,
): Promise<Record<string, number>> {
  const child = spawn(process.execPath, [rolePath, name, ...args.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  try {
    return (await new Lines(child, name).next()) as Record<string, number>
  } finally {
    clearTimeout(timer)
  }
}

/** What a role says, one JSON line after the other. */
class Lines {
  readonly #waiting: { done(value: unknown): void; fail(error: Error): void }[] = []
  readonly #said: unknown[] = []
  #over: Error | undefined

  constructor(child: ChildProcess, name: string) {
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => this.#hear(line))
    child.once('error', (error) => this.#end(error))
    child.once('exit', (code, signal) => this.#end(new Error(`${name} ended before it said anything (${signal ?? code})`)))
  }

  next(): Promise<unknown> {
    if (this.#said.length > 0) return Promise.resolve(this.#said.shift())
    if (this.#over !== undefined) return Promise.reject(this.#over)
    return new Promise((done, fail) => this.#waiting.push({ done, fail }))
  }

  #hear(line: string): void {
    const value: unknown = JSON.parse(line)
    const first = this.#waiting.shift()
    if (first === undefined) this.#said.push(value)
    else first.done(value)
  }

  #end(error: Error): void {
    this.#over = error
    for (const { fail } of this.#waiting.splice(0)) fail(error)
  }
}

export function installed(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0
}
