/** Puts the figures into `docs/scorecard.md`, between its marks, and the picture beside it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { limitOf, missesOf } from './limits.ts'
import { pictureOf } from './picture.ts'
import type { Results } from './results.ts'
import { nameOf, sortedRows, tableOf } from './table.ts'

const docs = fileURLToPath(new URL('../../../docs/', import.meta.url))
const [begin, end] = ['<!-- figures: written by npm run scorecard -->', '<!-- /figures -->']

export function writePage(results: Results): void {
  const page = `${docs}scorecard.md`
  const text = readFileSync(page, 'utf8')
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from)
    throw new Error(`expected the marks "${begin}" and "${end}" in ${page}; found ${from < 0 ? 'no first' : 'no second'}`)
  writeFileSync(page, `${text.slice(0, from + begin.length)}\n\n${figuresOf(results)}\n\n${text.slice(to)}`)
  writeFileSync(`${docs}scorecard.svg`, pictureOf(results.rows))
}

function figuresOf(results: Results): string {
  const days = results.rounds.map(({ at }) => at.slice(0, 10)).sort()
  const when = days[0] === days.at(-1) ? `${days[0]}` : `${days[0]} to ${days.at(-1)}`
  const misses = sortedRows(results.rows).flatMap((row) =>
    missesOf(row, results.rounds).map((miss) => `- ${nameOf(row)}, ${row.fault}: ${miss}`),
  )
  const limited = results.rows.filter((row) => limitOf(row) !== undefined).length
  return [
    `${results.rounds.length} rounds, ${when}, ${results.machine}.`,
    tableOf(results),
    misses.length === 0 ? `All ${limited} rows of ours that have a limit keep it.` : `What misses its limit:\n\n${misses.join('\n')}`,
    `Versions: ${Object.entries(results.versions)
      .map(([system, version]) => `${system}: ${version.replaceAll(/\s+/g, ' ')}`)
      .join('; ')}.`,
  ].join('\n\n')
}
