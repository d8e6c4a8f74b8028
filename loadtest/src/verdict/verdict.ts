// The verdict and the exit code. The first that applies decides: 105 interrupted, 120 a byte lost, doubled, moved, changed or invented,
// 121 a connection never recovered, 99 a limit broken, 122 inconclusive, 0 pass.
import type { Verdict } from './run-result.ts'

export const exitCodes = {
  pass: 0,
  limit: 99,
  badWorkbook: 104,
  interrupted: 105,
  integrity: 120,
  neverRecovered: 121,
  inconclusive: 122,
} as const

/** What the verdict is made from: a sentence for each thing that applies. */
export interface Findings {
  readonly interrupted: boolean
  readonly integrity: readonly string[]
  readonly neverRecovered: readonly string[]
  readonly limits: readonly string[]
  readonly inconclusive: readonly string[]
}

export function decide(findings: Findings): { verdict: Verdict; exitCode: number; reasons: string[] } {
  const { interrupted, integrity, neverRecovered, limits, inconclusive } = findings
  const reasons = [...(interrupted ? ['the run was interrupted'] : []), ...integrity, ...neverRecovered, ...limits, ...inconclusive]
  const failed = integrity.length > 0 || neverRecovered.length > 0 || limits.length > 0
  if (interrupted) return { verdict: failed ? 'fail' : 'inconclusive', exitCode: exitCodes.interrupted, reasons }
  if (integrity.length > 0) return { verdict: 'fail', exitCode: exitCodes.integrity, reasons }
  if (neverRecovered.length > 0) return { verdict: 'fail', exitCode: exitCodes.neverRecovered, reasons }
  if (limits.length > 0) return { verdict: 'fail', exitCode: exitCodes.limit, reasons }
  if (inconclusive.length > 0) return { verdict: 'inconclusive', exitCode: exitCodes.inconclusive, reasons }
  return { verdict: 'pass', exitCode: exitCodes.pass, reasons }
}
