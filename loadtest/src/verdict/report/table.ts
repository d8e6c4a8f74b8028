// A table of the report: a caption that says what it is, numbers to the right.
import { html } from './format.ts'

export interface Column<T> {
  readonly name: string
  /** `n` right-aligned number, `wrap` long text, `html` is markup already. */
  readonly kind?: 'n' | 'wrap' | 'html'
  readonly cell: (row: T) => string
}

/** Rows beyond are in the result workbook. */
const rowsMax = 500

export function table<T>(caption: string, columns: readonly Column<T>[], rows: readonly T[]): string {
  const head = columns.map(({ name, kind }) => `<th scope="col"${kind === 'n' ? ' class="n"' : ''}>${html(name)}</th>`).join('')
  const body = rows.slice(0, rowsMax).map((row) => {
    const cells = columns.map(({ kind, cell }, index) => {
      const text = kind === 'html' ? cell(row) : html(cell(row))
      const style = kind === 'n' || kind === 'wrap' ? ` class="${kind}"` : ''
      return index === 0 ? `<th scope="row"${style}>${text}</th>` : `<td${style}>${text}</td>`
    })
    return `<tr>${cells.join('')}</tr>`
  })
  const more = rows.length > rowsMax ? ` (the first ${rowsMax} of ${rows.length}; all are in the result workbook)` : ''
  return `<div class="scroll" role="region" aria-label="${html(caption)}" tabindex="0"><table><caption>${html(caption + more)}</caption><thead><tr>${head}</tr></thead><tbody>${body.join('\n')}</tbody></table></div>`
}

/** A pair list. */
export function facts(pairs: readonly (readonly [string, string])[]): string {
  return `<dl>${pairs.map(([name, value]) => `<dt>${html(name)}</dt><dd>${html(value)}</dd>`).join('')}</dl>`
}

export function badge(text: string, tone: 'good' | 'bad' | 'open'): string {
  return `<span class="badge ${tone}">${html(text)}</span>`
}
