// Makes every shipped workbook from the readable source beside it: scenarios/NAME.mjs → scenarios/NAME.xlsx, byte for byte the same each time.
// `--check` writes nothing and fails when a workbook is not what its source gives.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { sheetColumns } from '../loadtest/dist/workbook/columns.js'
import { writeWorkbook } from '../loadtest/dist/workbook/write-workbook.js'

const folder = fileURLToPath(new URL('../scenarios/', import.meta.url))
const check = process.argv.includes('--check')
let wrong = 0
for (const file of readdirSync(folder)
  .filter((name) => name.endsWith('.mjs'))
  .sort()) {
  const name = file.slice(0, -'.mjs'.length)
  const made = writeWorkbook(sheetsOf(await import(pathToFileURL(folder + file).href), name))
  const target = `${folder}${name}.xlsx`
  const kept = existsSync(target) ? readFileSync(target) : undefined
  const equal = kept !== undefined && Buffer.compare(kept, made) === 0
  if (!check) {
    if (!equal) writeFileSync(target, made)
    console.log(`${equal ? 'unchanged' : 'written  '} scenarios/${name}.xlsx`)
  } else if (!equal) {
    wrong += 1
    console.log(`scenarios/${name}.xlsx ${kept === undefined ? 'is missing' : 'differs from its source'}: run \`npm run workbooks\``)
  }
}
process.exitCode = wrong === 0 ? 0 : 1

/** Rows of cells, the header first, all columns present. */
function sheetsOf(source, name) {
  for (const sheet of Object.keys(source)) if (!(sheet in sheetColumns)) throw new Error(`${name}.mjs: no such sheet as ${sheet}`)
  return Object.entries(sheetColumns)
    .filter(([sheet]) => sheet in source)
    .map(([sheet, columns]) => ({ name: sheet, rows: [[...columns], ...rowsOf(source[sheet], columns, `${name}.mjs ${sheet}`)] }))
}

function rowsOf(rows, columns, where) {
  if (!Array.isArray(rows)) return Object.entries(rows).map(([key, [value, note]]) => [key, value, note ?? ''])
  return rows.map((row) => {
    for (const column of Object.keys(row)) if (!columns.includes(column)) throw new Error(`${where}: no such column as ${column}`)
    return columns.map((column) => row[column] ?? '')
  })
}
