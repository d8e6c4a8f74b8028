// `NAME.checked.xlsx`: the bad workbook with a comment in every cell that is wrong.
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import * as xlsx from 'xlsx'
import { convertWorkbook } from './convert.ts'
import type { Problem } from './problems.ts'
import { isTwin } from './read-twin.ts'

/**
 * Writes it beside the file; of a text twin, the workbook that it stands for. Returns its path, or undefined when it could not be written: the list of
 * problems is what matters.
 */
export async function writeChecked(file: string, problems: readonly Problem[]): Promise<string | undefined> {
  const marked = problems.filter((problem) => problem.cell !== '')
  if (marked.length === 0) return undefined
  try {
    const bytes = isTwin(file) ? await convertWorkbook(file, 'xlsx') : readFileSync(file)
    const book = xlsx.read(bytes, { type: 'array', cellNF: true, cellFormula: true })
    for (const { sheet: name, cell: address, text } of marked) {
      const written = book.SheetNames.find((one) => one.toLowerCase() === name.toLowerCase())
      const sheet = written === undefined ? undefined : book.Sheets[written]
      if (sheet === undefined) continue
      const at = xlsx.utils.decode_cell(address)
      const range = xlsx.utils.decode_range(sheet['!ref'] ?? address)
      range.e.r = Math.max(range.e.r, at.r)
      range.e.c = Math.max(range.e.c, at.c)
      sheet['!ref'] = xlsx.utils.encode_range(range)
      sheet[address] ??= { t: 's', v: '' }
      const cell: xlsx.CellObject = sheet[address]
      cell.c ??= []
      cell.c.push({ a: 'sennit', t: text })
      cell.c.hidden = true
    }
    const target = join(dirname(file), `${basename(file, extname(file)).replace(/\.sennit$/i, '')}.checked.xlsx`)
    writeFileSync(target, xlsx.write(book, { type: 'buffer', bookType: 'xlsx', compression: true }) as Uint8Array)
    return target
  } catch {
    return undefined
  }
}
