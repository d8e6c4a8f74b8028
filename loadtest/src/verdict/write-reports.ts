// Writes what a run leaves behind into its folder: summary.json always, the report and the result workbook as the plan asks.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { reportHtml } from './report/html.ts'
import { resultWorkbook } from './result-workbook.ts'
import type { RunResult } from './run-result.ts'

export interface ReportOptions {
  readonly result: RunResult
  /** Made when it is missing. */
  readonly outDir: string
  /** The scenario's workbook: its path or its bytes. Its sheets stand first in the result workbook. */
  readonly workbook?: string | Uint8Array
}

export interface WrittenReports {
  readonly summary: string
  readonly report?: string
  readonly workbook?: string
}

export function writeReports({ result, outDir, workbook }: ReportOptions): WrittenReports {
  mkdirSync(outDir, { recursive: true })
  const { reports } = result.plan.run
  const summary = write(outDir, 'summary.json', `${JSON.stringify(result.summary, undefined, 2)}\n`)
  const report = reports.includes('html') ? write(outDir, 'report.html', reportHtml(result)) : undefined
  const input = typeof workbook === 'string' ? readFileSync(workbook) : workbook
  const name = typeof workbook === 'string' ? basename(workbook, extname(workbook)) : result.plan.name
  const book = reports.includes('xlsx') ? write(outDir, `${name}.result.xlsx`, resultWorkbook(result, input)) : undefined
  return { summary, ...(report === undefined ? {} : { report }), ...(book === undefined ? {} : { workbook: book }) }
}

/** Whole or not at all: a reader never sees half a report. */
function write(folder: string, name: string, content: string | Uint8Array): string {
  const file = join(folder, name)
  writeFileSync(`${file}.part`, content)
  renameSync(`${file}.part`, file)
  return file
}
