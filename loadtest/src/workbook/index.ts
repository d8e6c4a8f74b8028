// The workbook: an .xlsx file in, a plan or every problem out.
import { basename, extname } from 'node:path'
import type { Plan } from '../plan.ts'
import { writeChecked } from './checked.ts'
import { makePlan } from './make-plan.ts'
import { type Problem, Problems } from './problems.ts'
import type { RawWorkbook } from './raw-workbook.ts'
import { parseWorkbook, readWorkbook } from './read-workbook.ts'

export type { Problem } from './problems.ts'

export interface CheckOptions {
  /** Instead of the workbook's `seed`. */
  readonly seed?: number
  /** Share of the connections (below 1), or times to repeat them (above 1). @default 1 */
  readonly scale?: number
  /** Leave a `.checked.xlsx` beside a bad workbook or its bad twin. @default false */
  readonly mark?: boolean
}

export type CheckResult =
  | { readonly plan: Plan; readonly errors?: undefined }
  /** The first 200, in order of sheets and rows; `leftOut` more were found. `checkedFile` is the marked copy, when asked for. */
  | { readonly plan?: undefined; readonly errors: readonly Problem[]; readonly leftOut: number; readonly checkedFile?: string }

/** Scales outside are typing errors. */
const scaleMax = 1000

/** Checks a workbook, all of it, before any socket opens. Never throws for what is in the file. */
export async function checkWorkbook(file: string, options: CheckOptions = {}): Promise<CheckResult> {
  const outcome = await readWorkbook(file)
  if ('error' in outcome) return unreadable(outcome.error)
  const result = checkRaw(outcome.workbook, nameOf(file), options)
  if (result.plan !== undefined) return result
  const located = { ...result, errors: withLines(result.errors, file, outcome.workbook) }
  if (options.mark !== true) return located
  const checkedFile = await writeChecked(file, result.errors)
  return checkedFile === undefined ? located : { ...located, checkedFile }
}

/** The same for the bytes of a workbook. */
export async function checkWorkbookBytes(bytes: Uint8Array, file: string, options: CheckOptions = {}): Promise<CheckResult> {
  const outcome = await parseWorkbook(bytes, file)
  return 'error' in outcome ? unreadable(outcome.error) : checkRaw(outcome.workbook, nameOf(file), options)
}

/** The same for cells that were read already. */
export function checkRaw(workbook: RawWorkbook, fallbackName: string, options: CheckOptions = {}): CheckResult {
  const { seed, scale } = options
  if (seed !== undefined && !(Number.isSafeInteger(seed) && seed >= 0)) return unreadable(`expected a whole number as seed; found ${seed}`)
  if (scale !== undefined && !(scale > 0 && scale <= scaleMax))
    return unreadable(`expected a scale over 0 and up to ${scaleMax}; found ${scale}`)
  const problems = new Problems()
  const plan = makePlan(
    workbook,
    { fallbackName, ...(seed === undefined ? {} : { seed }), ...(scale === undefined ? {} : { scale }) },
    problems,
  )
  return problems.count === 0 ? { plan } : { errors: problems.list(), leftOut: problems.leftOut }
}

/** Says before each problem of a twin in which line of its text it is, as compilers do. */
function withLines(errors: readonly Problem[], file: string, { lines }: RawWorkbook): readonly Problem[] {
  if (lines === undefined) return errors
  const bySheet = new Map([...lines].map(([name, rows]) => [name.trim().toLowerCase(), rows]))
  return errors.map((problem) => {
    const row = Number(/\d+$/.exec(problem.cell)?.[0] ?? 0)
    const line = bySheet.get(problem.sheet.trim().toLowerCase())?.get(row)
    return line === undefined ? problem : { ...problem, line, text: `${file}:${line}: ${problem.text}` }
  })
}

function unreadable(sentence: string): CheckResult {
  return { errors: [{ code: 'W100', sheet: '', cell: '', text: `${sentence} [W100]` }], leftOut: 0 }
}

function nameOf(file: string): string {
  return (
    basename(file, extname(file))
      .replace(/\.sennit$/i, '')
      .replace(/[^\w. -]+/g, '-')
      .slice(0, 80) || 'run'
  )
}
