// A failing test made small: rows are taken away, counts and times lessened, cells cleared, as long as the simulated world still fails for the same
// reason. Delta debugging over rows (Zeller and Hildebrandt's ddmin, IEEE TSE 28/2, 2002): halves first, then smaller pieces, until no single one can go.
// What no longer checks as a workbook (a client whose profile went) or would be a larger load (a blank rate is 1/s) is not tried at all. One seed gives
// one result, so a step that failed once fails always.
import { SennitError } from '@sennit/protocol'
import type { Plan } from '../plan.ts'
import type { Environment, RunResult } from '../verdict/run-result.ts'
import { checkRaw } from '../workbook/index.ts'
import { rawOf } from '../workbook/read-twin.ts'
import { runVirtual } from './run-virtual.ts'
import {
  type Body,
  bodyOf,
  columnOf,
  describeLess,
  equalSheets,
  headerOf,
  type Sheets,
  sizeOf,
  withCell,
  withoutColumn,
  withRows,
  withRunKey,
} from './sheet-edits.ts'

export interface ShrinkOptions {
  readonly sheets: Sheets
  readonly name: string
  readonly environment: Environment
  /** Instead of the workbook's; it is written into the smaller one. */
  readonly seed?: number
  /** Runs of the simulated world, at most. @default 300 */
  readonly runsMax?: number
  /** Aborting it ends the search with the smallest test so far: an interrupt, or a limit of time. */
  readonly signal?: AbortSignal
  /** After every step that made it smaller. */
  readonly onStep?: (step: ShrinkStep) => void
}

export interface ShrinkStep {
  readonly runs: number
  readonly rows: number
  readonly cells: number
  readonly clients: number
  readonly durationMs: number
}

export interface Shrunk extends ShrinkStep {
  readonly sheets: Sheets
  /** Of the smallest test that still fails. */
  readonly result: RunResult
  /** Why it fails, as the first run did: a sentence. */
  readonly reason: string
  /** What was taken away, sheet by sheet. */
  readonly removed: readonly string[]
  /** No single row or cell can go; false when the runs were used up, or it was aborted, first. */
  readonly minimal: boolean
}

/** The order in which sheets are made smaller: what costs most first. Other sheets are no part of a test. */
const rowSheets = ['clients', 'faults', 'limits', 'phases', 'relays', 'links', 'profiles', 'zones', 'run']
/** A duration is made no shorter: less than this is no test. */
const durationMinMs = 2_000
/** How much of a number is kept at one step: most of it goes while that works, then less. */
const lessBy = [0.25, 0.5, 0.75, 0.9]

/**
 * Makes a failing test small. Throws `usage` when it passes in the simulated world or was interrupted before that was known, `config_invalid` when it is
 * no workbook that can be run.
 */
export async function shrinkTest(options: ShrinkOptions): Promise<Shrunk> {
  return await new Shrinker(options).shrink()
}

interface Failure {
  readonly kind: string
  readonly exitCode: number
}

class Shrinker {
  readonly #options: ShrinkOptions
  readonly #runsMax: number
  readonly #whole: Sheets
  #sheets: Sheets
  #result: RunResult | undefined
  #load = Number.POSITIVE_INFINITY
  #failure: Failure = { kind: '', exitCode: 0 }
  #runs = 0

  constructor(options: ShrinkOptions) {
    this.#options = options
    this.#runsMax = options.runsMax ?? 300
    const inputs = options.sheets.filter(({ name }) => rowSheets.includes(name.toLowerCase()))
    this.#whole = inputs
    this.#sheets = options.seed === undefined ? inputs : withRunKey(inputs, 'seed', options.seed)
  }

  async shrink(): Promise<Shrunk> {
    const first = await this.#run(this.#sheets)
    if (this.#options.signal?.aborted === true)
      throw new SennitError('usage', 'interrupted before the first run ended: nothing is known of why it fails')
    if (first === undefined) throw new SennitError('config_invalid', 'the workbook has errors: `sennit test check` lists them')
    const [kind] = failuresOf(first.result)
    if (kind === undefined)
      throw new SennitError(
        'usage',
        `expected a test that fails in the simulated world; found the verdict ${first.result.summary.verdict}. Another --seed may fail`,
      )
    this.#failure = { kind, exitCode: first.result.summary.exitCode }
    this.#take(this.#sheets, first)
    for (let before = -1; before !== this.#size && !this.#over; ) {
      before = this.#size
      await this.#fewerConnections()
      for (const sheet of rowSheets)
        await this.#fewer(
          bodyOf(this.#sheets, sheet).map((row) => [row]),
          sheet,
        )
      await this.#smallerNumbers()
      await this.#fewerCells()
    }
    const result = this.#result!
    return {
      sheets: this.#sheets,
      result,
      reason: result.reasons[0] ?? kind,
      removed: describeLess(this.#whole, this.#sheets),
      minimal: !this.#over,
      ...this.#step,
    }
  }

  get #step(): ShrinkStep {
    const { clients, run } = this.#result!.plan
    return { runs: this.#runs, ...sizeOf(this.#sheets), clients: clients.length, durationMs: run.durationMs }
  }

  /** Everything that can become less, as one number. */
  get #size(): number {
    const { cells, clients, durationMs } = this.#step
    return cells * 1e6 + clients * 1e3 + durationMs / 1e6
  }

  get #over(): boolean {
    return this.#runs >= this.#runsMax || this.#options.signal?.aborted === true
  }

  /** Clients that talk with each other go together, wherever their rows stand: one end alone is no workbook. */
  async #fewerConnections(): Promise<void> {
    const { clients, flows } = this.#result!.plan
    const group = new Map<number, number>()
    const root = (row: number): number => {
      let at = row
      while (group.has(at)) at = group.get(at)!
      return at
    }
    for (const { caller, listener } of flows) {
      const [a, b] = [root(clients[caller]!.row), root(clients[listener]!.row)]
      if (a !== b) group.set(b, a)
    }
    const together = new Map<number, Body[number][]>()
    for (const entry of bodyOf(this.#sheets, 'clients')) {
      const at = root(entry[0])
      together.set(at, [...(together.get(at) ?? []), entry])
    }
    await this.#fewer([...together.values()], 'clients')
  }

  /** Ddmin over groups of rows. */
  async #fewer(groups: readonly Body[], sheet: string): Promise<void> {
    let left = groups
    let pieces = 2
    while (!this.#over && left.length > 0) {
      pieces = Math.min(pieces, left.length)
      const size = Math.ceil(left.length / pieces)
      let less = false
      for (let from = 0; from < left.length && !less; from += size) {
        const kept = left.filter((_group, index) => index < from || index >= from + size)
        const rows = kept.flat().sort(([a], [b]) => a - b)
        less = await this.#try(withRows(this.#sheets, sheet, rows))
        // The rows have moved together, so they have new numbers; groups are compared by cells no more.
        if (less) left = renumbered(kept)
      }
      if (less) pieces = Math.max(2, pieces - 1)
      else if (size === 1) return
      else pieces *= 2
    }
  }

  /** `count` of clients and `duration` of the run. */
  async #smallerNumbers(): Promise<void> {
    const countAt = columnOf(this.#sheets, 'clients', 'count')
    for (const [row, cells] of countAt === undefined ? [] : bodyOf(this.#sheets, 'clients'))
      await this.#lower(Number(cells.get(countAt!)?.value ?? 1), 1, (count) =>
        withCell(this.#sheets, 'clients', row, countAt!, Math.floor(count)),
      )
    // A duration that the workbook does not say is written down only when it becomes shorter.
    await this.#lower(this.#result!.plan.run.durationMs, durationMinMs, (ms) => withRunKey(this.#sheets, 'duration', `${Math.round(ms)}ms`))
  }

  async #lower(value: number, least: number, make: (value: number) => Sheets): Promise<void> {
    let now = value
    for (const share of lessBy) {
      while (!this.#over && now * share >= least && Math.floor(now * share) < now) {
        if (!(await this.#try(make(now * share)))) break
        now *= share
      }
    }
  }

  /** Whole columns first, then single cells: blank is the default. The first column names its row, and stays. */
  async #fewerCells(): Promise<void> {
    for (const { name } of this.#sheets) {
      if (name.toLowerCase() === 'run') continue
      const columns = [...headerOf(this.#sheets, name).keys()].sort((a, b) => a - b).slice(1)
      for (const column of columns) if (!this.#over) await this.#try(withoutColumn(this.#sheets, name, column))
      for (const [row, cells] of bodyOf(this.#sheets, name))
        for (const column of [...cells.keys()].sort((a, b) => a - b).slice(1))
          if (!this.#over) await this.#try(withCell(this.#sheets, name, row, column, undefined))
    }
  }

  /** Takes the smaller test when it fails for the same reason. */
  async #try(sheets: Sheets): Promise<boolean> {
    if (this.#over || equalSheets(sheets, this.#sheets)) return false
    const run = await this.#run(sheets)
    // A run that was cut short says nothing about the whole of it.
    if (run === undefined || this.#options.signal?.aborted === true) return false
    const { kind, exitCode } = this.#failure
    if (run.result.summary.exitCode !== exitCode || !failuresOf(run.result).includes(kind)) return false
    this.#take(sheets, run)
    this.#options.onStep?.(this.#step)
    return true
  }

  #take(sheets: Sheets, { result, load }: Ran): void {
    this.#sheets = sheets
    this.#result = result
    this.#load = load
  }

  /** undefined: it is no workbook that can be run, or more than what there is. */
  async #run(sheets: Sheets): Promise<Ran | undefined> {
    const { name, environment, signal } = this.#options
    const { plan } = checkRaw(rawOf(sheets), name)
    if (plan === undefined) return undefined
    const load = loadOf(plan)
    if (load > this.#load) return undefined
    this.#runs += 1
    try {
      return { load, result: await runVirtual({ plan, environment, ...(signal === undefined ? {} : { signal }) }) }
    } catch (error) {
      // An act that the simulated world does not have: the workbook as it was cannot be run at all.
      if (this.#runs === 1 || !(error instanceof SennitError)) throw error
      return undefined
    }
  }
}

interface Ran {
  readonly result: RunResult
  readonly load: number
}

/** What a run costs, more or less: turns of the clients and messages. */
function loadOf({ clients, flows, run }: Plan): number {
  const perSecond = flows
    .flatMap(({ directions }) => directions)
    .reduce((sum, { messagesPerSecond }) => sum + messagesPerSecond, clients.length)
  return perSecond * (run.durationMs + run.drainMs)
}

/** Every way in which it failed, the gravest first: a smaller test must fail for the same reason, not for some reason. */
function failuresOf({ summary }: RunResult): string[] {
  const { integrity, connections, limits, exitCode, verdict } = summary
  const damage = (['lost', 'duplicated', 'reordered', 'corrupted', 'unexpected'] as const).filter((kind) => integrity[kind] > 0)
  const broken = limits.filter(({ held, severity }) => held === false && severity === 'fail')
  const found = [
    ...damage.map((kind) => `damage ${kind}`),
    ...(connections.neverRecovered > 0 ? ['never recovered'] : []),
    ...broken.map(({ metric, stat }) => `limit ${metric} ${stat}`),
    ...(connections.opened < connections.planned ? ['never opened'] : []),
  ]
  return found.length > 0 || exitCode === 0 || verdict === 'inconclusive' ? found : [`exit code ${exitCode}`]
}

/** The groups with the numbers that their rows have after they moved together. */
function renumbered(groups: readonly Body[]): Body[] {
  const order = groups
    .flat()
    .map(([row]) => row)
    .sort((a, b) => a - b)
  const place = new Map(order.map((row, at) => [row, at + 2]))
  return groups.map((group) => group.map(([row, cells]) => [place.get(row)!, cells] as const))
}
