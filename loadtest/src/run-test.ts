// A test from a program: a workbook, its text twin, sheets as arrays of records, or a plan; run, and the result given back as data.
import { readFileSync } from 'node:fs'
import { SennitError } from '@sennit/protocol'
import { environmentOf } from './environment.ts'
import type { Plan } from './plan.ts'
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
}

/**
 * Runs a test and gives its result; a broken limit or a lost byte is in the result, not thrown.
 *
 * @param test the path of a workbook or of its twin, its sheets as data, or a plan that was made before (`seed` and `scale` do not change it)
 * @throws SennitError `config_invalid` with every problem of the workbook, `usage` for options that do not go together
 */
export async function runTest(test: string | TestSheets | Plan, options: RunTestOptions = {}): Promise<RunResult> {
  const plan = isPlan(test) ? test : await planOf(test, options)
  const { engine = 'virtual', outDir, relayCommand, signal, onStatus, onControls } = options
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
    if (relayCommand === undefined)
      throw new SennitError(
        'usage',
        'engine "local": expected relayCommand, the command line of a relay such as npx sennit relay; found none',
      )
    const { runLive } = await import('./live/run-live.ts')
    result = await runLive({ ...common, relayCommand })
  }
  if (outDir !== undefined) await writeReports({ result, outDir, ...(typeof test === 'string' ? { workbook: test } : {}) })
  return result
}

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
