// Writes what a run leaves behind into its folder: summary.json and the plan always, the rest as the plan (or whoever calls) asks.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import type { ReportKind } from '../plan.ts'
import { convertWorkbook } from '../workbook/convert.ts'
import { isTwin } from '../workbook/read-twin.ts'
import { timelineCsv } from './report/csv.ts'
import { reportHtml } from './report/html.ts'
import { junitXml } from './report/junit.ts'
import { prometheusText } from './report/prometheus.ts'
import { resultWorkbook } from './result-workbook.ts'
import { planBytes, planFile } from './run-plan.ts'
import type { RunResult } from './run-result.ts'

export interface ReportOptions {
  readonly result: RunResult
  /** Made when it is missing. */
  readonly outDir: string
  /** The scenario's workbook: its path (or that of its twin) or its bytes. Its sheets stand first in the result workbook. */
  readonly workbook?: string | Uint8Array
  /** Instead of what the plan asks for. */
  readonly reports?: readonly ReportKind[]
}

/** Paths of what was written. */
export interface WrittenReports {
  readonly summary: string
  /** What `test replay` takes. */
  readonly plan: string
  readonly report?: string
  readonly workbook?: string
  readonly timeline?: string
  readonly junit?: string
  readonly metrics?: string
}

export async function writeReports({
  result,
  outDir,
  workbook,
  reports = result.plan.run.reports,
}: ReportOptions): Promise<WrittenReports> {
  mkdirSync(outDir, { recursive: true })
  const name = typeof workbook === 'string' ? basename(workbook, extname(workbook)).replace(/\.sennit$/i, '') : result.plan.name
  const input = reports.includes('xlsx') ? await bytesOf(workbook) : undefined
  const one = <Key extends string>(
    key: Key,
    kind: ReportKind,
    file: string,
    content: () => string | Uint8Array,
  ): { readonly [K in Key]?: string } =>
    reports.includes(kind) ? ({ [key]: write(outDir, file, content()) } as { readonly [K in Key]?: string }) : {}
  return {
    plan: write(outDir, planFile, planBytes(result.plan)),
    summary: write(outDir, 'summary.json', `${JSON.stringify(result.summary, undefined, 2)}\n`),
    ...one('report', 'html', 'report.html', () => reportHtml(result)),
    ...one('workbook', 'xlsx', `${name}.result.xlsx`, () => resultWorkbook(result, input)),
    ...one('timeline', 'csv', 'timeline.csv', () => timelineCsv(result)),
    ...one('junit', 'junit', 'junit.xml', () => junitXml(result)),
    ...one('metrics', 'prometheus', 'metrics.prom', () => prometheusText(result)),
  }
}

/** The scenario as an .xlsx file has it. */
async function bytesOf(workbook: string | Uint8Array | undefined): Promise<Uint8Array | undefined> {
  if (typeof workbook !== 'string') return workbook
  return isTwin(workbook) ? await convertWorkbook(workbook, 'xlsx') : readFileSync(workbook)
}

/** Whole or not at all: a reader never sees half a report. */
function write(folder: string, name: string, content: string | Uint8Array): string {
  const file = join(folder, name)
  writeFileSync(`${file}.part`, content)
  renameSync(`${file}.part`, file)
  return file
}
