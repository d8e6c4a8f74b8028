/** Processes of a run: started, talked to, hit by faults, and ended for sure. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { connectionsAt } from './sockets.ts'

const rolePath = fileURLToPath(new URL('./roles/role.js', import.meta.url))

/** What does not start, or does not answer, within this has failed. */
const startMs = 30_000
/** How often something is looked at that tells nobody when it changes. */
const lookMs = 20

export interface Command {
  readonly program: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** A program of ours or of somebody else, while it runs. */
export class Running {
  readonly pid: number
  readonly exited: Promise<void>
  #ended = false
  #said = ''
  readonly #child: ChildProcess

  constructor(command: Command, stdio: 'quiet' | 'lines') {
    this.#child = spawn(command.program, command.args, {
      stdio: [stdio === 'lines' ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
      env: { ...process.env, ...command.env },
    })
    this.pid = this.#child.pid ?? 0
    this.exited = new Promise((done) => {
      const over = (): void => {
        this.#ended = true
        done()
      }
      this.#child.once('error', (error) => {
        this.#hear(String(error))
        over()
      })
      this.#child.once('exit', over)
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#hear(text))
    if (stdio === 'quiet') this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#hear(text))
  }

  get ended(): boolean {
    return this.#ended
  }

  /** The end of what it said, for errors. */
  get said(): string {
    return this.#said
  }

  get child(): ChildProcess {
    return this.#child
  }

  /** Signals it and everything it started. */
  signalTree(signal: NodeJS.Signals): void {
    for (const pid of treeOf(this.pid)) signalPid(pid, signal)
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#ended) signalPid(this.pid, signal)
  }

  #hear(text: string): void {
    this.#said = (this.#said + text).slice(-2_000)
  }
}

/** A role of ours, asked by JSON lines. */
export class Role {
  readonly running: Running
  readonly #name: string
  readonly #waiting = new Map<number, { done(value: Record<string, unknown>): void; fail(error: Error): void }>()
  readonly #onEvent: (event: Record<string, unknown>) => void
  #ids = 0

  constructor(name: string, args: readonly (string | number)[], onEvent: (event: Record<string, unknown>) => void = () => {}) {
    this.#name = name
    this.#onEvent = onEvent
    this.running = new Running({ program: process.execPath, args: [rolePath, name, ...args.map(String)] }, 'lines')
    const { stdout, stdin } = this.running.child
    stdin?.on('error', () => {})
    if (stdout !== null) createInterface({ input: stdout }).on('line', (line) => this.#hear(JSON.parse(line)))
    void this.running.exited.then(() => {
      for (const { fail } of this.#waiting.values()) fail(new Error(`${name} ended: ${this.running.said}`))
      this.#waiting.clear()
    })
  }

  /** The facts of its ready line. */
  ready(): Promise<Record<string, unknown>> {
    return this.#wait(0)
  }

  ask(what: string, facts: object = {}): Promise<Record<string, unknown>> {
    this.#ids += 1
    const answer = this.#wait(this.#ids)
    this.running.child.stdin?.write(`${JSON.stringify({ id: this.#ids, what, stream: 0, ...facts })}\n`)
    return answer
  }

  #wait(id: number): Promise<Record<string, unknown>> {
    if (this.running.ended) return Promise.reject(new Error(`${this.#name} has ended: ${this.running.said}`))
    return new Promise((done, fail) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        fail(new Error(`${this.#name} did not answer within ${startMs} ms: ${this.running.said}`))
      }, startMs)
      this.#waiting.set(id, {
        done: (value) => {
          clearTimeout(timer)
          done(value)
        },
        fail: (error) => {
          clearTimeout(timer)
          fail(error)
        },
      })
    })
  }

  #hear(line: Record<string, unknown>): void {
    if (line.event !== undefined) {
      this.#onEvent(line)
      return
    }
    const id = line.ready === true ? 0 : Number(line.id)
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (line.error === undefined) waiting?.done(line)
    else waiting?.fail(new Error(String(line.error)))
  }
}

/** A process in the middle that faults hit: the same command, started again after each of them. */
export class Server {
  readonly name: string
  readonly #command: Command
  readonly #port: { readonly host: string; readonly port: number }
  #running: Running | undefined

  /** @param port where it listens when it is up */
  constructor(name: string, command: Command, port: { readonly host: string; readonly port: number }) {
    this.name = name
    this.#command = command
    this.#port = port
  }

  get running(): Running {
    if (this.#running === undefined) throw new Error(`${this.name} was not started`)
    return this.#running
  }

  async start(): Promise<void> {
    const running = new Running(this.#command, 'quiet')
    this.#running = running
    await listening(this.#port.host, this.#port.port, running)
  }

  /** Processor time of it and all it started, in ticks: the one of several servers that carries the stream uses the most. */
  ticks(): number {
    return treeOf(this.running.pid).reduce((sum, pid) => sum + ticksOf(pid), 0)
  }

  /** Connections that it holds where it listens. */
  connections(): number {
    return connectionsAt(this.#port.port)
  }

  end(): void {
    this.#running?.signalTree('SIGCONT')
    this.#running?.signalTree('SIGKILL')
  }
}

/** Starts a program again and again, as a service manager would: for programs that end when they lose their server. */
export class Loop {
  readonly #command: Command
  readonly #restartMs: number
  #running: Running | undefined
  #over = false

  constructor(command: Command, restartMs: number) {
    this.#command = command
    this.#restartMs = restartMs
    this.#start()
  }

  end(): void {
    this.#over = true
    this.#running?.signalTree('SIGKILL')
  }

  #start(): void {
    if (this.#over) return
    this.#running = new Running(this.#command, 'quiet')
    void this.#running.exited.then(() => setTimeout(() => this.#start(), this.#restartMs))
  }
}

/** Resolves when something listens; rejects when the process that should has ended, or never does. */
export async function listening(host: string, port: number, by?: Running): Promise<void> {
  const deadline = performance.now() + startMs
  while (performance.now() < deadline) {
    if (by?.ended === true) throw new Error(`expected a program that listens on ${host}:${port}; it ended: ${by.said}`)
    const answered = await new Promise<boolean>((done) => {
      const socket = connect(port, host)
      socket.once('connect', () => {
        socket.destroy()
        done(true)
      })
      socket.once('error', () => done(false))
    })
    if (answered) return
    await pause(lookMs)
  }
  throw new Error(`nothing listened on ${host}:${port} within ${startMs} ms: ${by?.said ?? ''}`)
}

export function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms))
}

function signalPid(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}

/** A process and its descendants, the parents first. */
function treeOf(root: number): number[] {
  const childrenOf = new Map<number, number[]>()
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid)) continue
    const parent = Number(statOf(pid)[1])
    childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), pid])
  }
  const tree = [root]
  for (const pid of tree) tree.push(...(childrenOf.get(pid) ?? []))
  return tree
}

function ticksOf(pid: number): number {
  const stat = statOf(pid)
  return Number(stat[11] ?? 0) + Number(stat[12] ?? 0)
}

/** The fields of /proc/PID/stat behind the name, which may hold spaces: state, parent, …, user time, system time. */
function statOf(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}
