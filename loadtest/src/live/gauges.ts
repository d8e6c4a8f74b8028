// What the machines of a run used: the generator's own loop and CPU, and memory and CPU of each relay process (Linux).
import { readdirSync, readFileSync } from 'node:fs'
import type { RelaySample, RunRecorder } from '../verdict/run-recorder.ts'
import type { RelayFleet } from './relay-fleet.ts'

/** The loop is looked at this often; a run that is late by more than the limit is inconclusive. */
const loopProbeMs = 10
const sampleMs = 1_000
/** Clock ticks a second in /proc/PID/stat: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100
/** Bytes of one page, for the resident set in /proc/PID/statm. */
const pageBytes = 4_096

export interface GaugesOptions {
  /** false: this process runs no clients, so that what it uses itself says nothing about them. @default true */
  readonly ownLoop?: boolean
  readonly onLoopDelay?: (delayMs: number) => void
}

export class Gauges {
  readonly #recorder: RunRecorder
  readonly #fleet: RelayFleet | undefined
  readonly #now: () => number
  /** Counting them costs as much as there are: only where a limit asks. */
  readonly #descriptors: boolean
  readonly #cpuBefore = new Map<string, { seconds: number; atMs: number }>()
  readonly #ownLoop: boolean
  readonly #onLoopDelay: ((delayMs: number) => void) | undefined
  #timers: NodeJS.Timeout[] = []
  #ownBefore: NodeJS.CpuUsage = process.cpuUsage()
  #ownAtMs = 0

  constructor(
    recorder: RunRecorder,
    fleet: RelayFleet | undefined,
    now: () => number,
    { ownLoop = true, onLoopDelay }: GaugesOptions = {},
  ) {
    this.#ownLoop = ownLoop
    this.#onLoopDelay = onLoopDelay
    this.#recorder = recorder
    this.#fleet = fleet
    this.#now = now
    this.#descriptors = recorder.plan.limits.some(({ metric }) => metric === 'relay_fd')
  }

  start(onSecond: () => void): void {
    let expectedMs = this.#now() + loopProbeMs
    const probe = setInterval(() => {
      const nowMs = this.#now()
      const delayMs = Math.max(0, nowMs - expectedMs)
      if (this.#ownLoop) this.#recorder.loopDelay(nowMs, delayMs)
      this.#onLoopDelay?.(delayMs)
      expectedMs = nowMs + loopProbeMs
    }, loopProbeMs)
    const sample = setInterval(() => {
      this.#sample()
      onSecond()
    }, sampleMs)
    this.#timers = [probe, sample]
    this.#ownAtMs = this.#now()
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#timers = []
  }

  #sample(): void {
    const nowMs = this.#now()
    const used = process.cpuUsage(this.#ownBefore)
    const cpu = (used.user + used.system) / 1000 / Math.max(1, nowMs - this.#ownAtMs)
    this.#ownBefore = process.cpuUsage()
    this.#ownAtMs = nowMs
    const relays = this.#recorder.plan.relays.flatMap(({ relay }) => {
      if (this.#fleet === undefined) return []
      const state = this.#fleet.stateOf(relay)
      const pid = this.#fleet.pid(relay)
      return [pid === undefined ? { relay, state } : { ...this.#relay(relay, pid, nowMs), state }]
    })
    this.#recorder.sample(nowMs, this.#ownLoop ? cpu : undefined, relays)
  }

  #relay(relay: string, pid: number, nowMs: number): RelaySample {
    try {
      const resident = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * pageBytes
      // The name of the program stands in brackets and may hold spaces: fields count from the last bracket.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
      const seconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
      const before = this.#cpuBefore.get(`${relay} ${pid}`)
      this.#cpuBefore.set(`${relay} ${pid}`, { seconds, atMs: nowMs })
      const used = { relay, rssBytes: resident, ...(this.#descriptors ? { descriptors: readdirSync(`/proc/${pid}/fd`).length } : {}) }
      if (before === undefined || nowMs <= before.atMs) return used
      return { ...used, cpu: ((seconds - before.seconds) * 1000) / (nowMs - before.atMs) }
    } catch {
      return { relay }
    }
  }
}
