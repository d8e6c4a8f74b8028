// The cell grammar: how a text becomes a value. Each kind says what it expects, so that an error can say it too, and guesses what was meant.
import type { Distribution, LimitOperator } from '../plan.ts'

/** One kind of cell. */
export interface Kind<T> {
  readonly code: string
  /** Follows "expected". */
  readonly expected: string
  /** undefined: the text is not of this kind. */
  parse(text: string): T | undefined
  /** What may have been meant, in the grammar. */
  guess?(text: string): string | undefined
}

const number = String.raw`(\d{1,15}(?:\.\d{1,9})?)`

const durationUnits: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 }
const durationPattern = new RegExp(`^${number} ?(us|ms|s|m|min|h|d)$`)

/** Milliseconds. */
export const duration: Kind<number> = {
  code: 'W102',
  expected: 'a duration such as 250ms, 30s, 5m or 2h',
  parse: (text) => (/^0(\.0+)?$/.test(text) ? 0 : scaled(durationPattern.exec(text.toLowerCase()), durationUnits)),
  guess: (text) => meant(text, (words) => words.replace(/ /g, ''), duration) ?? withUnit(text, 's'),
}

/** Per second. */
export const rate: Kind<number> = {
  code: 'W101',
  expected: 'a rate such as 10/s or 600/min',
  parse: (text) => {
    const match = new RegExp(`^${number} ?/ ?(ms|s|m|min|h)$`).exec(text.toLowerCase())
    return match === null ? undefined : (Number(match[1]) * 1000) / durationUnits[match[2]!]!
  },
  guess: (text) => meant(text, (words) => words.replace(/ /g, ''), rate) ?? withUnit(text, '/s'),
}

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1000,
  mb: 1_000_000,
  gb: 1_000_000_000,
  kib: 1024,
  mib: 1_048_576,
  gib: 1_073_741_824,
}

/** Bytes. */
export const size: Kind<number> = {
  code: 'W103',
  expected: 'a size such as 64, 1500B or 4KiB',
  parse: (text) => {
    const bytes = scaled(new RegExp(`^${number} ?(b|kb|mb|gb|kib|mib|gib|)$`).exec(text.toLowerCase()), sizeUnits)
    return bytes === undefined ? undefined : Math.round(bytes)
  },
  guess: (text) => meant(text, (words) => words.replace(/ bytes?| octets?/, 'B').replace(/ /g, ''), size),
}

const bandwidthUnits: Readonly<Record<string, number>> = {
  'bit/s': 1 / 8,
  'kbit/s': 125,
  'mbit/s': 125_000,
  'gbit/s': 125_000_000,
  'b/s': 1,
  'kb/s': 1000,
  'mb/s': 1_000_000,
  'gb/s': 1_000_000_000,
  'kib/s': 1024,
  'mib/s': 1_048_576,
  'gib/s': 1_073_741_824,
}

/** Bytes a second; null is `unlimited`. */
export const bandwidth: Kind<number | null> = {
  code: 'W104',
  expected: 'a bandwidth such as 64kbit/s or 1.5MB/s',
  parse: (text) => {
    if (text.toLowerCase() === 'unlimited') return null
    return scaled(new RegExp(`^${number} ?((?:bit|kbit|mbit|gbit|b|kb|mb|gb|kib|mib|gib)/s)$`).exec(text.toLowerCase()), bandwidthUnits)
  },
  guess: (text) => {
    const bits = /^([\d.]+) ?([kmg]?)(?:bit|b)?ps$/i.exec(text)
    if (bits !== null) return valid(`${bits[1]}${bits[2]}bit/s`, bandwidth)
    return withUnit(text, 'B/s')
  },
}

/** A share: 2 % is 0.02. */
export const percent: Kind<number> = {
  code: 'W105',
  expected: 'a percentage such as 2%',
  parse: (text) => {
    const match = new RegExp(`^${number} ?%$`).exec(text)
    if (match === null) return text === '0' ? 0 : undefined
    const share = Number(match[1]) / 100
    return share <= 1 ? share : undefined
  },
  guess: (text) => (Number(text) > 0 && Number(text) <= 1 ? `${Number((Number(text) * 100).toPrecision(12))}%` : withUnit(text, '%')),
}

export const yesNo: Kind<boolean> = {
  code: 'W112',
  expected: 'yes or no',
  parse: (text) => ({ yes: true, true: true, '1': true, no: false, false: false, '0': false })[text.toLowerCase()],
}

/** A whole number in a range. */
export function whole(from: number, to: number): Kind<number> {
  const range = to >= Number.MAX_SAFE_INTEGER ? (from === 0 ? '' : ` of at least ${from}`) : ` from ${from} to ${to}`
  return {
    code: 'W107',
    expected: `a whole number${range}`,
    parse: (text) => {
      if (!/^\d{1,16}$/.test(text)) return undefined
      const value = Number(text)
      return value >= from && value <= to && Number.isSafeInteger(value) ? value : undefined
    },
  }
}

/** How a comparison is written. */
export const operators: Readonly<Record<string, LimitOperator>> = {
  '<': '<',
  '<=': '<=',
  '≤': '<=',
  '=': '=',
  '==': '=',
  '!=': '!=',
  '<>': '!=',
  '≠': '!=',
  '>=': '>=',
  '≥': '>=',
  '>': '>',
}

/** A number that is not negative. */
export const quantity: Kind<number> = {
  code: 'W107',
  expected: 'a number such as 0 or 2.5',
  parse: (text) => (new RegExp(`^${number}$`).test(text) ? Number(text) : undefined),
}

/** One of a few words. */
export function oneOf<const T extends string>(words: readonly T[]): Kind<T> {
  return {
    code: 'W112',
    expected: words.length === 1 ? words[0]! : `one of ${words.join(', ')}`,
    parse: (text) => words.find((word) => word === text.toLowerCase().replace(/ /g, '_')),
  }
}

/** Any text of a reasonable length. */
export const anyText: Kind<string> = {
  code: 'W107',
  expected: 'a text of at most 500 characters',
  parse: (text) => (text.length <= 500 ? text : undefined),
}

/** Names of relays, zones, profiles, clients, faults. `{n}` is filled in when a row stands for several. */
export const name: Kind<string> = {
  code: 'W107',
  expected: 'a name of letters, digits, dots, dashes and underscores (at most 63)',
  parse: (text) =>
    /^[A-Za-z0-9](?:[A-Za-z0-9._-]|\{n\}){0,62}$/.test(text) || /^\{n\}[A-Za-z0-9._-]{0,60}$/.test(text) ? text : undefined,
  guess: (text) =>
    valid(
      text
        .trim()
        .replace(/[^A-Za-z0-9._{}-]+/g, '-')
        .replace(/^-|-$/g, ''),
      name,
    ),
}

/** Words separated by commas. */
export const words: Kind<string[]> = {
  code: 'W107',
  expected: 'words separated by commas',
  parse: (text) => {
    const list = text
      .split(',')
      .map((word) => word.trim())
      .filter((word) => word !== '')
    return list.length > 0 && list.length <= 100 && list.every((word) => /^[\w.-]{1,63}$/.test(word)) ? list : undefined
  },
}

/** Percentiles such as `50,90,99,99.9`. */
export const percentileList: Kind<number[]> = {
  code: 'W107',
  expected: 'percentiles from 0 to 100 separated by commas, such as 50,90,99,99.9',
  parse: (text) => {
    const list = text.split(/[,;] ?/).map((word) => (new RegExp(`^${number}$`).test(word.trim()) ? Number(word) : Number.NaN))
    return list.length <= 50 && list.every((value) => value >= 0 && value <= 100) ? list : undefined
  },
}

/** Sizes of messages. A bare size is constant. */
export const distribution: Kind<Distribution> = {
  code: 'W108',
  expected:
    'a distribution such as const(1024), uniform(64,1500), normal(1024,128), lognormal(1024,0.5), exp(1024) or mix(64:70%,1500:30%)',
  parse: (text) => parseDistribution(text, size),
  guess: (text) => {
    const call = /^(\w+)\s*[( ]\s*([^()]*)\)?$/.exec(text)
    return call === null
      ? undefined
      : valid(
          `${call[1]!.toLowerCase()}(${call[2]!
            .trim()
            .replace(/[;\s]+/g, ',')
            .replace(/,+/g, ',')})`,
          distribution,
        )
  },
}

/** Times in ms: how long a session lasts, how long somebody thinks. A bare duration is constant. */
export const durations: Kind<Distribution> = {
  code: 'W102',
  expected:
    'a duration such as 30s, or a distribution of them such as uniform(10s,60s), exp(30s), lognormal(30s,0.5) or mix(1s:70%,60s:30%)',
  parse: (text) => parseDistribution(text, duration),
  guess: (text) => duration.guess?.(text),
}

function parseDistribution(text: string, size: Kind<number>): Distribution | undefined {
  const bare = size.parse(text)
  if (bare !== undefined) return bare > 0 ? { kind: 'const', value: bare } : undefined
  const call = /^(const|uniform|normal|lognormal|exp|mix)\(([^()]{1,400})\)$/.exec(text.toLowerCase().replace(/ /g, ''))
  if (call === null) return undefined
  const parts = call[2]!.split(',')
  if (call[1] === 'mix') return parseMix(parts, size)
  const first = size.parse(parts[0]!)
  if (first === undefined || first <= 0) return undefined
  if (call[1] === 'const') return parts.length === 1 ? { kind: 'const', value: first } : undefined
  if (call[1] === 'exp') return parts.length === 1 ? { kind: 'exp', mean: first } : undefined
  if (parts.length !== 2) return undefined
  if (call[1] === 'lognormal') {
    const sigma = quantity.parse(parts[1]!)
    return sigma === undefined || sigma > 10 ? undefined : { kind: 'lognormal', median: first, sigma }
  }
  const second = size.parse(parts[1]!)
  if (second === undefined) return undefined
  if (call[1] === 'normal') return { kind: 'normal', mean: first, deviation: second }
  return second >= first ? { kind: 'uniform', from: first, to: second } : undefined
}

function parseMix(parts: readonly string[], size: Kind<number>): Distribution | undefined {
  const mixed: { value: number; share: number }[] = []
  for (const part of parts) {
    const [value, share, ...more] = part.split(':')
    const bytes = size.parse(value ?? '')
    const fraction = percent.parse(share ?? '')
    if (more.length > 0 || bytes === undefined || bytes <= 0 || fraction === undefined) return undefined
    mixed.push({ value: bytes, share: fraction })
  }
  const sum = mixed.reduce((total, part) => total + part.share, 0)
  return mixed.length <= 20 && Math.abs(sum - 1) < 1e-6 ? { kind: 'mix', parts: mixed } : undefined
}

/** When something happens. */
export type Schedule =
  | { readonly kind: 'at'; readonly atMs: number }
  | { readonly kind: 'every'; readonly everyMs: number; readonly spread: number }
  | { readonly kind: 'poisson'; readonly perSecond: number }
  | { readonly kind: 'once' }
  | { readonly kind: 'never' }
  | { readonly kind: 'after'; readonly fault: string; readonly delayMs: number }

export const schedule: Kind<Schedule> = {
  code: 'W109',
  expected: 'a schedule such as at(30s), every(5m,±10%), poisson(0.2/s), once, never or after:F1+5s',
  parse: parseSchedule,
  guess: (text) => {
    const at = duration.parse(text) === undefined ? duration.guess?.(text.replace(/^(at|after)\b/i, '').trim()) : text
    return at === undefined ? undefined : valid(`at(${at})`, schedule)
  },
}

function parseSchedule(written: string): Schedule | undefined {
  const text = written.replace(/ /g, '')
  const lower = text.toLowerCase()
  if (lower === 'once' || lower === 'never') return { kind: lower }
  const after = /^after:([\w.-]{1,63})(?:\+(.{1,20}))?$/i.exec(text)
  if (after !== null) {
    const delayMs = after[2] === undefined ? 0 : duration.parse(after[2])
    return delayMs === undefined ? undefined : { kind: 'after', fault: after[1]!, delayMs }
  }
  const call = /^(at|every|poisson)\(([^()]{1,60})\)$/.exec(lower)
  if (call === null) return undefined
  if (call[1] === 'poisson') {
    const perSecond = rate.parse(call[2]!)
    return perSecond === undefined || perSecond <= 0 ? undefined : { kind: 'poisson', perSecond }
  }
  const [time, spreadText, ...more] = call[2]!.split(',')
  const ms = duration.parse(time!)
  if (ms === undefined || more.length > 0) return undefined
  if (call[1] === 'at') return spreadText === undefined ? { kind: 'at', atMs: ms } : undefined
  const spread = spreadText === undefined ? 0 : percent.parse(spreadText.replace(/^(±|\+-|\+\/-)/, ''))
  return spread === undefined || ms <= 0 ? undefined : { kind: 'every', everyMs: ms, spread }
}

/** What something is done to, still by name. */
export type Target =
  | { readonly kind: 'relay' | 'zone'; readonly pattern: string }
  /** `link`: only their links from that address of `bind`, from 1. */
  | { readonly kind: 'client' | 'tag'; readonly pattern: string; readonly link?: number }
  | { readonly kind: 'link'; readonly from: string; readonly to: string }
  | { readonly kind: 'percent'; readonly share: number; readonly of: Target }
  | { readonly kind: 'one' | 'busiest'; readonly of: Target }

export const target: Kind<Target> = {
  code: 'W111',
  expected:
    'a target such as relay:r1, relay:*, zone:eu, link:eu>us, client:cam-*, client:c1/link:2, tag:iot, percent(20%,tag:iot), one(relay:*) or busiest(relay:*)',
  parse: (text) => parseTarget(text.replace(/ /g, ''), 0),
  guess: (text) => (/^r\d+$/i.test(text) ? `relay:${text}` : undefined),
}

function parseTarget(text: string, depth: number): Target | undefined {
  const call = /^(one|busiest|percent)\((.{1,200})\)$/i.exec(text)
  if (call !== null) {
    if (depth > 0) return undefined
    const kind = call[1]!.toLowerCase()
    if (kind !== 'percent') {
      const of = parseTarget(call[2]!, depth + 1)
      return of === undefined ? undefined : { kind: kind as 'one' | 'busiest', of }
    }
    const comma = call[2]!.indexOf(',')
    const share = percent.parse(call[2]!.slice(0, Math.max(0, comma)))
    const of = parseTarget(call[2]!.slice(comma + 1), depth + 1)
    return share === undefined || of === undefined ? undefined : { kind: 'percent', share, of }
  }
  const link = /^link:([\w.-]{1,63})>([\w.-]{1,63})$/i.exec(text)
  if (link !== null) return { kind: 'link', from: link[1]!, to: link[2]! }
  const ofLink = /^(client|tag):([\w.*-]{1,63})\/link:([1-9]\d?)$/i.exec(text)
  if (ofLink !== null) return { kind: ofLink[1]!.toLowerCase() as 'client', pattern: ofLink[2]!, link: Number(ofLink[3]) }
  const named = /^(relay|zone|client|tag):([\w.*-]{1,63})$/i.exec(text)
  return named === null ? undefined : { kind: named[1]!.toLowerCase() as 'relay', pattern: named[2]! }
}

function scaled(match: RegExpExecArray | null, units: Readonly<Record<string, number>>): number | undefined {
  return match === null ? undefined : Number(match[1]) * units[match[2]!]!
}

/** Says it in the grammar's words: "10 per sec" → "10/s", "5 minutes" → "5m". */
function meant(text: string, tidy: (words: string) => string, kind: Kind<unknown>): string | undefined {
  const spoken = text
    .toLowerCase()
    .replace(/,/g, '.')
    .replace(/ ?\b(per|every|a|an|each)\b ?/g, '/')
    .replace(/milliseconds?|millis|msecs?/g, 'ms')
    .replace(/seconds?|secs?/g, 's')
    .replace(/minutes?|mins?/g, 'min')
    .replace(/hours?|hrs?/g, 'h')
    .replace(/ms\/s|msgs?\/|messages?\//g, '/')
  return valid(tidy(spoken), kind)
}

function withUnit(text: string, unit: string): string | undefined {
  return new RegExp(`^${number}$`).test(text) ? `${text}${unit}` : undefined
}

function valid(text: string, kind: Kind<unknown>): string | undefined {
  return kind.parse(text) === undefined ? undefined : text
}

/** Whether a name fits a pattern with `*`, without case. */
export function fits(pattern: string, written: string): boolean {
  const parts = pattern.toLowerCase().split('*')
  const text = written.toLowerCase()
  if (parts.length === 1) return text === parts[0]
  if (!text.startsWith(parts[0]!) || !text.endsWith(parts.at(-1)!)) return false
  let at = parts[0]!.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found === -1) return false
    at = found + part.length
  }
  return text.length - parts.at(-1)!.length >= at
}
