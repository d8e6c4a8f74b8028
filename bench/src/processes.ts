// Child processes of a benchmark: started, waited for until they say `ready`, ended for sure.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const rolePath = fileURLToPath(new URL('./roles/role.js', import.meta.url))
/** One measurement that takes longer than this hangs. */
const measureTimeoutMs = 180_000

export class Processes {
  readonly #children: ChildProcess[] = []

  /** Starts one of our roles and gives the facts of its ready line. */
  async role(name: string, ...args: (string | number)[]): Promise<{ port: number }> {
    const child = spawn(process.execPath, [rolePath, name, ...args.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#children.push(child)
    return (await firstLine(child, name)) as { port: number }
  }

  /** Starts another program, which says nothing when it is ready. */
  program(command: string, args: readonly string[]): ChildProcess {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'ignore'] })
    this.#children.push(child)
    return child
  }

  end(): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }
}

/** Runs a source role to its end and gives its one JSON line. */
export async function measure(name: string, ...args: (string | number)[]): Promise<Record<string, number>> {
  const child = spawn(process.execPath, [rolePath, name, ...args.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), measureTimeoutMs)
  try {
    return (await firstLine(child, name)) as Record<string, number>
  } finally {
    clearTimeout(timer)
  }
}

function firstLine(child: ChildProcess, name: string): Promise<unknown> {
  return new Promise((done, fail) => {
    if (child.stdout !== null) createInterface({ input: child.stdout }).once('line', (line) => done(JSON.parse(line)))
    child.once('error', fail)
    child.once('exit', (code, signal) => fail(new Error(`${name} ended before it said anything (${signal ?? code})`)))
  })
}

export function installed(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0
}
