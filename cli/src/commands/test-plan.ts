// What the commands on workbooks share: a plan read with every problem told, numbers of options, names of what is written.
import type { Plan } from '@sennit/loadtest'
import { usageError } from '../exit-codes.ts'
import type { Output } from '../output.ts'

export interface PlanOptions {
  readonly seed?: string
  readonly scale?: string
}

/** The plan of a workbook; or undefined, when its problems were printed and the exit code set. */
export async function readPlan(file: string, options: PlanOptions, out: Output): Promise<Plan | undefined> {
  const { checkWorkbook, exitCodes } = await import('@sennit/loadtest')
  const checked = await checkWorkbook(file, {
    mark: true,
    ...(options.seed === undefined ? {} : { seed: wholeNumber('--seed', options.seed) }),
    ...(options.scale === undefined ? {} : { scale: positive('--scale', options.scale) }),
  })
  if (checked.plan !== undefined) return checked.plan
  const lines = checked.errors.map((problem) => problem.text)
  if (checked.leftOut > 0) lines.push(`and ${checked.leftOut} more`)
  if (checked.checkedFile !== undefined) lines.push(`the cells are marked in ${checked.checkedFile}`)
  out.result({ ok: false, errors: checked.errors, leftOut: checked.leftOut, checkedFile: checked.checkedFile }, lines.join('\n'))
  process.exitCode = exitCodes.badWorkbook
  return undefined
}

/** A whole number from 0 on, as an option says it. */
export function wholeNumber(flag: string, text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0)
    throw usageError(`${flag}: expected a whole number such as 7; found "${text}"`)
  return value
}

/** A number over 0, as an option says it. */
export function positive(flag: string, text: string): number {
  const value = Number(text)
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) throw usageError(`${flag}: expected a number over 0 such as 0.1; found "${text}"`)
  return value
}
