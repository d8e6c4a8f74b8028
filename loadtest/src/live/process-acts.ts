// Acts on relay processes, by signals, limits and clocks. Each says what it did and how to undo it.
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { SennitError } from '@sennit/protocol'
import type { FaultAct } from '../plan.ts'
import { rightClock } from './false-clock.ts'
import type { RelayFleet } from './relay-fleet.ts'

export interface ProcessActContext {
  readonly act: FaultAct
  /** It runs. */
  readonly relay: string
  readonly fleet: RelayFleet
  readonly now: () => number
}

export interface Done {
  readonly receipt: string
  /** Undoes it, and says how. */
  heal(): Promise<string>
  /** Healed as soon as it is done, not when the act's time is over. */
  readonly atOnce?: boolean
}

/** Does it; resolves when it is in force. @throws SennitError `fault_failed` when this machine cannot */
export async function doProcessAct(context: ProcessActContext): Promise<Done> {
  const { act, relay, fleet } = context
  const pid = fleet.pid(relay)
  switch (act.action) {
    case 'pause':
      fleet.pause(relay)
      return { receipt: `SIGSTOP to pid ${pid}`, heal: async () => goneOn(fleet.resume(relay), `SIGCONT to pid ${pid}`) }
    case 'cpu_hog':
      return slowed(context)
    case 'fd_exhaust':
      return await limited(context, 'nofile', () => String(firstFree(pid)))
    case 'disk_full':
      return await limited(context, 'fsize', () => '0')
    case 'clock_drift':
      fleet.setClock(relay, { offsetMs: 0, drift: act.drift ?? 0 })
      return { receipt: `the clock of pid ${pid} gains ${(act.drift ?? 0) * 1_000} ms a second`, heal: async () => setRight(fleet, relay) }
    case 'clock_offset':
      return await jumped(context)
    case 'cert_expired':
      return await certificateEnded(context)
    case 'kill':
    case 'term':
    case 'drain':
      return { receipt: await ended(context), heal: () => started(context) }
    default: {
      // restart and rolling_restart
      const receipt = await ended(context)
      const renewed = act.how === 'new_key'
      if (renewed) await fleet.renewKey(relay)
      return { receipt: renewed ? `${receipt}; it has a new key` : receipt, heal: () => started(context), atOnce: true }
    }
  }
}

/** `kill` by SIGKILL, else by SIGTERM, so that clients are told to move first. */
async function ended({ act, relay, fleet, now }: ProcessActContext): Promise<string> {
  const pid = fleet.pid(relay)
  const sinceMs = now()
  const kills = act.action === 'kill'
  await (kills ? fleet.kill(relay) : fleet.term(relay))
  return `${kills ? 'SIGKILL' : 'SIGTERM'} to pid ${pid}, gone after ${(now() - sinceMs).toFixed(1)} ms`
}

async function started({ relay, fleet }: ProcessActContext): Promise<string> {
  await fleet.start(relay)
  return `started again as pid ${fleet.pid(relay)}`
}

/** Stopped for its share of each turn: what a process gets on a machine that others keep busy. */
function slowed({ act, relay, fleet }: ProcessActContext): Done {
  const { share = 0.8, downMs = 100 } = act
  const pid = fleet.pid(relay)
  let turns = 0
  let timer: NodeJS.Timeout
  const stop = (): void => {
    if (fleet.pid(relay) !== pid || !fleet.pause(relay)) return
    turns += 1
    timer = setTimeout(go, downMs * share)
  }
  const go = (): void => {
    if (fleet.pid(relay) !== pid || !fleet.resume(relay)) return
    timer = setTimeout(stop, downMs * (1 - share))
  }
  stop()
  return {
    receipt: `pid ${pid} stands still for ${Math.round(share * 100)} % of each ${downMs} ms`,
    heal: async () => {
      clearTimeout(timer)
      fleet.resume(relay)
      return fleet.pid(relay) === pid ? `pid ${pid} runs freely after ${turns} stops` : 'it had ended meanwhile'
    },
  }
}

/** Lowers a soft limit of the process, and puts it back. */
async function limited({ relay, fleet }: ProcessActContext, resource: 'nofile' | 'fsize', value: () => string): Promise<Done> {
  const pid = fleet.pid(relay)
  const before = softLimit(pid, resource)
  const lowered = value()
  await prlimit(pid, resource, lowered)
  const what =
    resource === 'nofile'
      ? `pid ${pid} may open no descriptor from ${lowered} on, the first it has free`
      : `pid ${pid} may write to no file`
  return {
    receipt: what,
    heal: async () => {
      if (fleet.pid(relay) !== pid) return 'it had ended meanwhile'
      await prlimit(pid, resource, before)
      return `limit of pid ${pid} is ${before} again`
    },
  }
}

/** A new descriptor is the lowest that is free, and the limit is on its number. */
function firstFree(pid: number | undefined): number {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number))
  let free = 0
  while (open.has(free)) free += 1
  return free
}

/** As prlimit(1) wants it. */
function softLimit(pid: number | undefined, resource: 'nofile' | 'fsize'): string {
  const name = resource === 'nofile' ? 'Max open files' : 'Max file size'
  const line = readFileSync(`/proc/${pid}/limits`, 'utf8')
    .split('\n')
    .find((one) => one.startsWith(name))
  return line?.slice(name.length).trim().split(/\s+/)[0] ?? 'unlimited'
}

async function prlimit(pid: number | undefined, resource: string, soft: string): Promise<void> {
  try {
    await promisify(execFile)('prlimit', ['--pid', String(pid), `--${resource}=${soft}:`])
  } catch (cause) {
    throw new SennitError('fault_failed', 'expected prlimit (package util-linux, on Linux) to set the limits of a process', {}, cause)
  }
}

/** The date of its machine jumps, while it runs or just before it starts again. */
async function jumped(context: ProcessActContext): Promise<Done> {
  const { act, relay, fleet } = context
  const offsetMs = act.offsetMs ?? 0
  const restarts = act.how === 'restart'
  fleet.setClock(relay, { offsetMs, drift: 0 })
  const receipt = `the clock of ${relay} is ${offsetMs / 1_000} s ahead`
  if (!restarts) return { receipt, heal: async () => setRight(fleet, relay) }
  const told = `${receipt}; ${await ended(context)}, ${await started(context)}`
  return {
    receipt: told,
    heal: async () => {
      const right = setRight(fleet, relay)
      return fleet.isRunning(relay) ? `${right}; ${await ended(context)}, ${await started(context)}` : right
    },
  }
}

/** It starts again with a certificate that has ended: whoever is on it goes elsewhere, and nobody comes. */
async function certificateEnded(context: ProcessActContext): Promise<Done> {
  const { relay, fleet } = context
  const restore = fleet.endCertificate(relay)
  const mend = async (): Promise<string> => {
    restore()
    return `${relay} has a certificate that holds; ${fleet.isRunning(relay) ? `${await ended(context)}, ` : ''}${await started(context)}`
  }
  try {
    const receipt = `${relay} has a certificate that ended a minute ago; ${await ended(context)}, ${await started(context)}`
    return { receipt, heal: mend }
  } catch (error) {
    restore()
    throw error
  }
}

function setRight(fleet: RelayFleet, relay: string): string {
  fleet.setClock(relay, rightClock)
  return `the clock of ${relay} is right again`
}

function goneOn(continued: boolean, receipt: string): string {
  return continued ? receipt : 'it had ended meanwhile'
}
