// The relays of a run that the test set starts itself: real processes of the real program, killed and frozen by real signals.
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { SennitError } from '@sennit/protocol'
import { renewRelayKey } from '@sennit/protocol/node'
import type { Clock } from '../zone-clock.ts'
import { endRelayCertificate } from './ended-certificate.ts'
import { clockOptions, rightClock } from './false-clock.ts'
import type { Guard } from './guard.ts'
import { startInTurn } from './start-in-turn.ts'

/** A relay starts in half a second, in twenty on a machine that does ten other things; one that has not after this is stuck. */
const readyTimeoutMs = 60_000
/** How long an ended run waits for a relay before it kills it. */
const endTimeoutMs = 3_000
/** A certificate that has ended has ended so long ago, and a relay that is to start with it takes it for good so long yet: more than any start takes. */
const certificateMarginMs = 60_000

export interface FleetOptions {
  /** Command line of one relay without its config, such as `['node', 'sennit.mjs', 'relay']`. */
  readonly relayCommand: readonly string[]
  readonly meshDir: string
  readonly relayIds: readonly string[]
  /** Ends the relays when this process is killed. */
  readonly guard: Guard
  /** Told of each line a relay logs, for the report's errors; relays log JSON on stderr. */
  readonly onLog?: (relayId: string, line: string) => void
  readonly drainMs?: number
  /** Relays get a clock that acts can set. @default false */
  readonly clocks?: boolean
  /** How wrong the clock of a relay's machine is when nothing is done to it. @default right */
  readonly clockOf?: (relayId: string) => Clock
  /** What the clock of the client that is most behind is behind by. @default 0 */
  readonly clockLagMs?: number
}

interface Running {
  readonly child: ChildProcess
  readonly clock: Writable | undefined
  readonly exited: Promise<void>
  readonly adminUrl: string
}

/** Starts, kills, freezes, drains and restarts relays; whatever happens, `end()` leaves none behind. */
export class RelayFleet {
  readonly #options: FleetOptions
  readonly #running = new Map<string, Running>()
  readonly #frozen = new Set<string>()
  /** How wrong acts have set the clocks of relays, beyond those of their machines; kept over restarts, as the clock of a machine is. */
  readonly #clocks = new Map<string, Clock>()
  readonly #madeAtMs = performance.now()

  constructor(options: FleetOptions) {
    this.#options = options
  }

  /** As long as it takes while relays become ready. Whoever calls it ends the fleet when it fails. */
  async startAll(signal?: AbortSignal): Promise<void> {
    await startInTurn(this.#options.relayIds, { start: (relayId) => this.start(relayId), ...(signal === undefined ? {} : { signal }) })
  }

  isRunning(relayId: string): boolean {
    return this.#running.has(relayId)
  }

  stateOf(relayId: string): 'up' | 'down' | 'paused' {
    if (!this.#running.has(relayId)) return 'down'
    return this.#frozen.has(relayId) ? 'paused' : 'up'
  }

  pid(relayId: string): number | undefined {
    return this.#running.get(relayId)?.child.pid
  }

  adminUrl(relayId: string): string | undefined {
    return this.#running.get(relayId)?.adminUrl
  }

  /** Starts one relay and resolves when it is ready. Does nothing when it runs. */
  async start(relayId: string): Promise<void> {
    if (this.#running.has(relayId)) return
    const [program, ...args] = this.#options.relayCommand
    if (program === undefined) throw new SennitError('usage', 'expected a relay command; found an empty one')
    const config = join(this.#options.meshDir, 'relays', `${relayId}.toml`)
    const drain = this.#options.drainMs === undefined ? [] : ['--drain', `${this.#options.drainMs}ms`]
    const { clocks = false, guard } = this.#options
    const child = spawn(program, [...args, '--config', config, '--json', '--exit-with-stdin', ...drain], {
      stdio: ['pipe', 'pipe', 'pipe', ...(clocks ? (['pipe'] as const) : [])],
      // In a group of its own: a Ctrl-C at the terminal is for the run, which ends its relays itself and in order.
      detached: true,
      ...(clocks ? { env: { ...process.env, ...clockOptions(this.#clock(relayId, true)) } } : {}),
    }) as ChildProcessWithoutNullStreams
    const clock = clocks ? (child.stdio[3] as unknown as Writable) : undefined
    clock?.on('error', () => {})
    child.stdin.on('error', () => {})
    guard.watch(child.pid)
    let lastLine = ''
    createInterface({ input: child.stderr }).on('line', (line) => {
      lastLine = line
      this.#options.onLog?.(relayId, line)
    })
    const exited = new Promise<void>((done) => {
      child.once('exit', () => done())
      child.once('error', () => done())
    }).then(() => {
      if (this.#running.get(relayId)?.child === child) this.#running.delete(relayId)
      this.#frozen.delete(relayId)
      guard.forget(child.pid)
    })
    const pending: Running = { child, clock, exited, adminUrl: '' }
    this.#running.set(relayId, pending)
    const ready = await readyLine(child, exited, relayId, () => lastLine)
    if (this.#running.get(relayId)?.child === child) this.#running.set(relayId, { child, clock, exited, adminUrl: ready.adminUrl })
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(relayId: string): Promise<boolean> {
    return await this.#signalAndWait(relayId, 'SIGKILL')
  }

  /** SIGTERM: the relay drains, then exits. */
  async term(relayId: string): Promise<boolean> {
    return await this.#signalAndWait(relayId, 'SIGTERM')
  }

  /** SIGSTOP: alive, silent. */
  pause(relayId: string): boolean {
    const running = this.#running.get(relayId)
    if (running === undefined) return false
    this.#frozen.add(relayId)
    return running.child.kill('SIGSTOP')
  }

  resume(relayId: string): boolean {
    const running = this.#running.get(relayId)
    if (running === undefined || !this.#frozen.delete(relayId)) return false
    return running.child.kill('SIGCONT')
  }

  /** Sets a relay's clock wrong beyond what its machine's is, or as that again: at once where it runs, and from its start on when it starts. */
  setClock(relayId: string, clock: Clock): void {
    this.#clocks.set(relayId, clock)
    this.#running.get(relayId)?.clock?.write(`${JSON.stringify(this.#clock(relayId, false))}\n`)
  }

  /**
   * Gives a relay a certificate that has ended, for every clock of the run, which it takes when it starts again. A relay refuses to start with such
   * a one, so the clock of its machine is behind from now on. Returns what undoes both.
   */
  endCertificate(relayId: string): () => void {
    const { meshDir, clockLagMs = 0 } = this.#options
    const endedAgoMs = certificateMarginMs + clockLagMs
    const restore = endRelayCertificate(meshDir, relayId, Date.now() - endedAgoMs)
    const ownMs = this.#clock(relayId, true).offsetMs
    this.#clocks.set(relayId, { offsetMs: -(ownMs + endedAgoMs + certificateMarginMs), drift: 0 })
    return () => {
      restore()
      this.setClock(relayId, rightClock)
    }
  }

  /** Gives a relay a new key and certificate, which it reads when it starts again. */
  async renewKey(relayId: string): Promise<void> {
    await renewRelayKey(this.#options.meshDir, relayId)
  }

  /** Ends every relay, frozen ones too. */
  async end(): Promise<void> {
    const all = [...this.#running.entries()]
    for (const [relayId, { child }] of all) {
      this.resume(relayId)
      child.kill('SIGINT')
    }
    const timer = setTimeout(() => {
      for (const [, { child }] of all) child.kill('SIGKILL')
    }, endTimeoutMs)
    await Promise.all(all.map(([, { exited }]) => exited))
    clearTimeout(timer)
    await this.#options.guard.end()
  }

  /** What its machine's clock shows, and what acts made of it. `starts`: what it gained before is told too; a running process knows that itself. */
  #clock(relayId: string, starts: boolean): Clock {
    const own = this.#options.clockOf?.(relayId) ?? rightClock
    const set = this.#clocks.get(relayId) ?? rightClock
    const gainedMs = starts ? (performance.now() - this.#madeAtMs) * own.drift : 0
    return { offsetMs: own.offsetMs + set.offsetMs + gainedMs, drift: own.drift + set.drift }
  }

  async #signalAndWait(relayId: string, name: NodeJS.Signals): Promise<boolean> {
    const running = this.#running.get(relayId)
    if (running === undefined) return false
    running.child.kill(name)
    await running.exited
    return true
  }
}

function readyLine(child: ChildProcess, exited: Promise<void>, relayId: string, lastLine: () => string): Promise<{ adminUrl: string }> {
  return new Promise((done, fail) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      fail(new SennitError('relay_not_ready', `relay ${relayId} said nothing within ${readyTimeoutMs / 1000} s`, { relayId }))
    }, readyTimeoutMs)
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        try {
          const value = JSON.parse(line) as { ready?: unknown; adminUrl?: unknown }
          if (value.ready !== true) return
          clearTimeout(timer)
          done({ adminUrl: String(value.adminUrl ?? '') })
        } catch {
          // Not the ready line; a relay's stdout carries nothing else that matters here.
        }
      })
    }
    void exited.then(() => {
      clearTimeout(timer)
      const said = lastLine().slice(0, 400)
      fail(new SennitError('relay_ended', `relay ${relayId} ended before it was ready${said === '' ? '' : `: ${said}`}`, { relayId }))
    })
  })
}
