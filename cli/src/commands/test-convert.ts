// `sennit test convert`: a workbook as text for git and programs, and back.
import { existsSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { usageError } from '../exit-codes.ts'
import { createOutput, jsonOption } from '../output.ts'

interface ConvertOptions {
  readonly force?: boolean
  readonly json?: boolean
}

const help = `
The twin of NAME.xlsx is NAME.sennit.yaml (or .json): the same sheets and cells, one row a line. Values, formulas and number formats come through both
ways; looks, notes and drop-down lists are not cells and stay behind. \`test check\`, \`test run\` and the others take a twin wherever they take a workbook.

Examples:
  sennit test convert load.xlsx load.sennit.yaml           # for git
  sennit test convert load.sennit.yaml load.xlsx --force   # for the spreadsheet
  sennit test run load.sennit.yaml --virtual`

export function addConvertCommand(test: Command): void {
  test
    .command('convert')
    .argument('<from>', 'workbook .xlsx, or its text twin .yaml, .json')
    .argument('<to>', 'what to write; the end of its name says the form')
    .option('--force', 'replace a file that is there')
    .addOption(jsonOption())
    .description('convert a workbook to its text twin, or back, without loss')
    .addHelpText('after', help)
    .action(async (from: string, to: string, options: ConvertOptions) => {
      const { convertWorkbook, formOf } = await import('@sennit/loadtest')
      const form = formOf(to)
      if (form === undefined || formOf(from) === undefined)
        throw usageError(`expected names that end with .xlsx, .yaml or .json; found "${form === undefined ? to : from}"`)
      if (existsSync(to) && options.force !== true) throw usageError(`expected no file at ${to} yet; found one. --force replaces it`)
      const bytes = await convertWorkbook(from, form)
      writeFileSync(to, bytes)
      createOutput(options.json === true).result({ written: to, bytes: bytes.length }, `wrote ${to}`)
    })
}
