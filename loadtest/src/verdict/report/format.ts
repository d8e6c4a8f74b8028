// Numbers and texts for people.

/** Text that can stand anywhere in HTML. */
export function html(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;').replace(/'/g, '&#39;')
}

/** `0.42 ms`, `12.3 ms`, `1.25 s`; – for nothing. */
export function duration(ms: number | null): string {
  if (ms === null) return '–'
  if (ms < 10) return `${trimmed(ms, 2)} ms`
  if (ms < 1000) return `${trimmed(ms, 1)} ms`
  return ms < 120_000 ? `${trimmed(ms / 1000, 2)} s` : `${trimmed(ms / 60_000, 1)} min`
}

/** `1.2 kB` … decimal, as networks count. */
export function bytes(count: number | null): string {
  if (count === null) return '–'
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = count
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${trimmed(value, value < 10 && unit > 0 ? 2 : value < 100 && unit > 0 ? 1 : 0)} ${units[unit]}`
}

/** `12 345` with narrow spaces. */
export function count(value: number | null): string {
  return value === null ? '–' : String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, '\u202f')
}

/** Short, for an axis: `1.5k`. */
export function short(value: number): string {
  if (value >= 1_000_000) return `${trimmed(value / 1_000_000, 1)}M`
  if (value >= 10_000) return `${trimmed(value / 1000, 1)}k`
  return trimmed(value, value < 1 ? 2 : value < 10 ? 1 : 0)
}

/** At which second of the run. */
export function moment(ms: number | null): string {
  return ms === null ? '–' : `${trimmed(ms / 1000, 2)} s`
}

/** A number in the unit of its metric. */
export function inUnit(value: number | null, unit: string): string {
  if (value === null) return 'not measured'
  if (unit === 'ms') return duration(value)
  if (unit === 'B') return value < 10_000 ? `${trimmed(value, 0)} B` : bytes(value)
  return `${trimmed(value, 2)} ${unit}`.trimEnd()
}

function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)))
}
