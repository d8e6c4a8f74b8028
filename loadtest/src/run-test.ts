// A test from a program: a workbook, its text twin, sheets as arrays of records, or a plan; run, and the result given back as data.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { SennitError } from '@sennit/protocol'
import type { AgentsOptions } from './agents/run-agents.ts'
import { environmentOf } from './environment.ts'
import { agentsMax, type Plan } from './plan.ts'
import type { RunControls } from './run-controls.ts'
import type { RunResult, RunStatus } from './verdict/index.ts'
import { writeReports } from './verdict/write-reports.ts'
import type { RunKey, SheetName, sheetColumns } from './workbook/columns.ts'
import { type CheckResult, checkRaw, checkWorkbook } from './workbook/index.ts'
import { rawOf } from './workbook/read-twin.ts'
import type { CellScalar, FullCell, FullSheet } from './workbook/twin.ts'

/** The sheets of a workbook as data: `Run` by key, every other sheet as an array of records. Sheets and columns left out have their defaults. */
export type TestSheets = {
  readonly Run?: { readonly [Key in RunKey]?: CellScalar }
} & {
  readonly [Sheet in Exclude<SheetName, 'Run'>]?: readonly { readonly [Column in (typeof sheetColumns)[Sheet][number]]?: CellScalar }[]
}

/** A run that several processes share, as `sennit test run --agents` has it. */
export interface RunTestAgents {
  /** So many agents take part; the run begins when all are there. */
  readonly count: number
  /** Of these, how many are started here. @default all */
  readonly local?: number
  /** The command line of an agent that is started here, such as `['npx', 'sennit', 'test', 'agent']`. */
  readonly command?: readonly string[]
  /** Where agents dial in; port 0 is any free one. @default { host: '127.0.0.1', port: 0 } */
  readonly listen?: { readonly host: string; readonly port: number }
  /** Agents come over HTTPS: with this certificate, or with one that is made for the run and known by its fingerprint. @default HTTP */
  readonly tls?: 'self-signed' | { readonly certificateFile: string; readonly keyFile: string }
  /** What agents must know. @default made up */
  readonly token?: string
  /** How long all agents are waited for. @default 60 000 */
  readonly waitMs?: number
  /** Once, when agents can dial in: what those elsewhere are to be given (COORDINATOR and TOKEN of `sennit test agent`). */
  readonly onListening?: (door: { readonly url: string; readonly token: string }) => void
  /** Who comes, who is lost. */
  readonly onNote?: (text: string) => void
}

export interface RunTestOptions {
  /** `virtual`: the simulated world, the same result each time; `local`: real relays, real sockets, real faults. @default 'virtual' */
  readonly engine?: 'virtual' | 'local'
  /** Instead of the test's own. */
  readonly seed?: number
  /** Share of the connections (below 1), or times to repeat them (above 1). @default 1 */
  readonly scale?: number
  /** Writes the reports there. @default nothing is written */
  readonly outDir?: string
  /** Aborting it heals every fault and gives the partial result. */
  readonly signal?: AbortSignal
  /** About once a second. */
  readonly onStatus?: (status: RunStatus) => void
  /** Once, when the run begins: to pause its ramp, inject a fault, or stop it. */
  readonly onControls?: (controls: RunControls) => void
  /** For `local`: the command line of one relay without its config, such as `['npx', 'sennit', 'relay']`. */
  readonly relayCommand?: readonly string[]
  /** For `local`: the directory of a mesh that runs already, whose relays are used. Agents on other machines reach no others. */
  readonly meshDir?: string
  /** For `local`: shares the clients among several processes, here or on other machines. @default this process runs all of them */
  readonly agents?: RunTestAgents
}

/**
 * Runs a test and gives its result; a broken limit or a lost byte is in the result, not thrown.
 *
 * @param test the path of a workbook or of its twin, its sheets as data, or a plan that was made before (`seed` and `scale` do not change it)
 * @throws SennitError `config_invalid` with every problem of the workbook, `usage` for options that do not go together
 */
export async function runTest(test: string | TestSheets | Plan, options: RunTestOptions = {}): Promise<RunResult> {
  const plan = isPlan(test) ? test : await planOf(test, options)
  const { engine = 'virtual', outDir, relayCommand, meshDir, agents, signal, onStatus, onControls } = options
  if (engine === 'virtual' && (agents !== undefined || meshDir !== undefined))
    throw new SennitError(
      'usage',
      `${agents === undefined ? 'meshDir' : 'agents'}: expected engine "local"; the simulated world has neither relays nor agents of its own`,
    )
  const common = {
    plan,
    environment: environmentOf(engine, packageVersion()),
    ...(signal === undefined ? {} : { signal }),
    ...(onStatus === undefined ? {} : { onStatus }),
    ...(onControls === undefined ? {} : { onControls }),
  }
  let result: RunResult
  if (engine === 'virtual') {
    const { runVirtual } = await import('./virtual/run-virtual.ts')
    result = await runVirtual(common)
  } else {
    if (relayCommand === undefined && meshDir === undefined)
      throw new SennitError(
        'usage',
        'engine "local": expected relayCommand, the command line of a relay such as npx sennit relay; found none',
      )
    const relays = { relayCommand: relayCommand ?? [], ...(meshDir === undefined ? {} : { meshDir }) }
    if (agents === undefined) {
      const { runLive } = await import('./live/run-live.ts')
      result = await runLive({ ...common, ...relays })
    } else result = await runShared({ onStatus: () => {}, signal: new AbortController().signal, ...common, ...relays }, agents)
  }
  if (outDir !== undefined) await writeReports({ result, outDir, ...(typeof test === 'string' ? { workbook: test } : {}) })
  return result
}

async function runShared(run: SharedRun, agents: RunTestAgents): Promise<RunResult> {
  const { count, local = count, command = [], listen = { host: '127.0.0.1', port: 0 }, tls, waitMs = 60_000 } = agents
  const { token = randomBytes(18).toString('base64url'), onListening = () => {}, onNote = () => {} } = agents
  if (!Number.isSafeInteger(count) || count < 1 || count > agentsMax)
    throw new SennitError('usage', `agents.count: expected a whole number from 1 to ${agentsMax}; found ${count}`)
  if (!Number.isSafeInteger(local) || local < 0 || local > count)
    throw new SennitError('usage', `agents.local: expected a whole number from 0 to ${count}; found ${local}`)
  if (local > 0 && command.length === 0)
    throw new SennitError('usage', 'agents.command: expected the command line of an agent such as npx sennit test agent; found none')
  const { runAgents } = await import('./agents/run-agents.ts')
  return await runAgents({
    ...run,
    version: packageVersion(),
    agents: count,
    local: { count: local, command },
    listen,
    ...(tls === undefined ? {} : { tls }),
    token,
    waitMs,
    onListening: (url) => onListening({ url, token }),
    onNote,
  })
}

type SharedRun = Omit<AgentsOptions, 'version' | 'agents' | 'local' | 'listen' | 'tls' | 'token' | 'waitMs' | 'onListening' | 'onNote'>

function isPlan(test: string | TestSheets | Plan): test is Plan {
  return typeof test === 'object' && 'version' in test && 'flows' in test
}

async function planOf(test: string | TestSheets, { seed, scale }: RunTestOptions): Promise<Plan> {
  const check = { ...(seed === undefined ? {} : { seed }), ...(scale === undefined ? {} : { scale }) }
  const checked: CheckResult = typeof test === 'string' ? await checkWorkbook(test, check) : checkRaw(rawOf(sheetsOf(test)), 'test', check)
  if (checked.plan !== undefined) return checked.plan
  const more = checked.leftOut > 0 ? `\nand ${checked.leftOut} more` : ''
  throw new SennitError('config_invalid', `the test cannot be run:\n${checked.errors.map(({ text }) => text).join('\n')}${more}`, {
    errors: checked.errors,
  })
}

function sheetsOf(test: TestSheets): FullSheet[] {
  return Object.entries(test).map(([name, content]) => {
    const records: readonly Readonly<Record<string, CellScalar | undefined>>[] = Array.isArray(content)
      ? content
      : Object.entries(content ?? {}).map(([key, value]) => ({ key, value: value as CellScalar }))
    const columns = [...new Set(records.flatMap((record) => Object.keys(record)))]
    const rows = new Map<number, Map<number, FullCell>>()
    if (columns.length > 0) rows.set(1, new Map(columns.map((column, at) => [at, { value: column }])))
    for (const [index, record] of records.entries()) {
      const cells = columns.flatMap((column, at): [number, FullCell][] => {
        const value = record[column]
        return value === undefined || value === '' ? [] : [[at, { value }]]
      })
      rows.set(index + 2, new Map(cells))
    }
    return { name, rows }
  })
}

function packageVersion(): string {
  return (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version
}
