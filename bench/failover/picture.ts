/** The scorecard as a picture: how long each fault stopped the stream, on a logarithmic axis, one panel a fault. Readable on light and dark. */
import type { FaultName } from './faults.ts'
import type { Row } from './results.ts'
import { nameOf, sortedRows } from './table.ts'

const titles: Readonly<Record<FaultName, string>> = {
  kill: 'kill -9 of the relay in use',
  freeze: 'SIGSTOP of it',
  cut: 'its packets vanish',
  term: 'SIGTERM to it',
  reset: 'its connections reset, every 5 s',
}
const [nameWidth, chartWidth, right] = [330, 520, 30]
const [lineHeight, titleHeight, gap] = [20, 44, 14]
/** 1 ms to 35 s: below is noise, above a stream is given up. */
const [leastMs, mostMs] = [1, 35_000]

export function pictureOf(rows: readonly Row[]): string {
  const parts: string[] = []
  let y = 10
  for (const fault of Object.keys(titles) as FaultName[]) {
    const lines = sortedRows(rows.filter((row) => row.fault === fault))
    if (lines.length === 0) continue
    parts.push(text(0, y + 16, `${titles[fault]}`, 'title'))
    const [top, bottom] = [y + titleHeight - 6, y + titleHeight + lines.length * lineHeight]
    for (const tick of [1, 10, 100, 1_000, 10_000]) {
      const x = xOf(tick)
      parts.push(`<line class="grid" x1="${x}" x2="${x}" y1="${top}" y2="${bottom}"/>`)
      parts.push(text(x, top - 4, tick < 1_000 ? `${tick} ms` : `${tick / 1_000} s`, 'tick'))
    }
    lines.forEach((row, index) => {
      parts.push(...lineOf(row, y + titleHeight + index * lineHeight + lineHeight / 2))
    })
    y = bottom + gap
  }
  const width = nameWidth + chartWidth + right
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img" aria-label="How long each fault stopped a live stream">
<style>
text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:13px}.tick{font-size:10px;text-anchor:middle;fill:#59636e}.cut{fill:#b3261e}.some{fill:#9a6700;font-size:10px}
.grid{stroke:#d1d9e0}.ours{fill:#0b6bcb;stroke:#0b6bcb}.peer{fill:#59636e;stroke:#59636e}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.tick{fill:#9198a1}.cut{fill:#ff7b72}.some{fill:#d29922}.grid{stroke:#3d444d}.ours{fill:#58a6ff;stroke:#58a6ff}.peer{fill:#9198a1;stroke:#9198a1}}
</style>
${parts.join('\n')}
</svg>
`
}

/** A dot at the median, a line to the longest; or what happened instead. */
function lineOf(row: Row, y: number): string[] {
  const name = text(0, y + 4, nameOf(row))
  const cuts = row.rounds - row.survived
  if (row.stallMs === null) return [name, text(xOf(leastMs), y + 4, `✕ cut, ${row.lost > 0 ? 'bytes lost' : 'nothing lost'}`, 'cut')]
  const kind = row.system.startsWith('Sennit') ? 'ours' : 'peer'
  const [median, longest] = [xOf(row.stallMs.p50), xOf(row.stallMs.max)]
  const notes = [...(cuts > 0 ? [`${cuts} of ${row.rounds} cut`] : []), ...(row.lost > 0 ? ['bytes lost'] : [])]
  return [
    name,
    `<line class="${kind}" stroke-width="2" x1="${median}" x2="${longest}" y1="${y}" y2="${y}"/><circle class="${kind}" cx="${median}" cy="${y}" r="4.5"/>`,
    ...(notes.length === 0 ? [] : [text(longest + 8, y + 4, notes.join(', '), 'some')]),
  ]
}

function xOf(ms: number): number {
  const share = Math.log(Math.min(Math.max(ms, leastMs), mostMs) / leastMs) / Math.log(mostMs / leastMs)
  return Math.round(nameWidth + share * chartWidth)
}

function text(x: number, y: number, words: string, kind = ''): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text${kind === '' ? '' : ` class="${kind}"`} x="${x}" y="${y}">${escaped}</text>`
}
