// Agents as processes of the coordinator's machine.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface LocalAgentsOptions {
  /** Command line of one agent, such as `['node', 'sennit.mjs', 'test', 'agent']`; what it needs to know is in its environment. */
  readonly command: readonly string[]
  readonly coordinator: string
  readonly token: string
  /** One for each agent: ranks count from 0. */
  readonly zones: readonly string[]
  readonly size: number
  readonly onNote: (text: string) => void
  /** A process ended, in order or not. */
  readonly onExit: (rank: number, pid: number | undefined, how: string) => void
}

/** Agents that were told to leave are gone in well under this. */
const endMaxMs = 5_000

export class LocalAgents {
  readonly #children: { readonly child: ChildProcess; readonly exited: Promise<void> }[]

  constructor({ command, coordinator, token, zones, size, onNote, onExit }: LocalAgentsOptions) {
    const [program = process.execPath, ...args] = command
    this.#children = zones.map((zone, rank) => {
      const child = spawn(program, args, {
        stdio: ['ignore', 'ignore', 'pipe'],
        // In a group of its own: a Ctrl-C at the terminal is for the run, which tells its agents itself.
        detached: true,
        env: { ...process.env, COORDINATOR: coordinator, TOKEN: token, RANK: String(rank), SIZE: String(size), ZONE: zone },
      })
      if (child.stderr !== null) createInterface({ input: child.stderr }).on('line', (line) => onNote(`agent ${rank}: ${line}`))
      const exited = new Promise<void>((done) => {
        const over = (how: string) => (): void => {
          onExit(rank, child.pid, how)
          done()
        }
        child.once('error', (error) => over(error.message)())
        child.once('exit', (code, signal) => over(signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`)())
      })
      return { child, exited }
    })
  }

  /** Waits for all to end; who does not is killed. */
  async end(): Promise<void> {
    const timer = setTimeout(() => {
      for (const { child } of this.#children) child.kill('SIGKILL')
    }, endMaxMs)
    await Promise.all(this.#children.map(({ exited }) => exited))
    clearTimeout(timer)
  }
}
