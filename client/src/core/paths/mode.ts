/**
 * The ways a connection may use its relays, and how people write them: `best`, `mirror(2)`, `send=disperse(2,3),receive=spread;short=fail`.
 * Each direction of a connection has its own mode.
 */
import { SennitError } from '@sennit/protocol'
import { modeNames, nearestMode } from './nearest-mode.ts'

export type PathMode =
  /** The jointly best relay, another one kept warm. */
  | { readonly kind: 'best' }
  /** A relay of its own for each direction. */
  | { readonly kind: 'pair' }
  /** Moves between relays at intervals of about `everyMs`. */
  | { readonly kind: 'rotate'; readonly how: 'regular' | 'random' | 'secret'; readonly everyMs: number }
  /** Each packet on the path that delivers it first. */
  | { readonly kind: 'spread' }
  /** Every packet on `n` paths. */
  | { readonly kind: 'mirror'; readonly n: number }
  /** `n` shares of every packet on `n` relays; all are needed. */
  | { readonly kind: 'split'; readonly n: number }
  /** `n` shares of every packet on `n` relays; any `k` are enough, fewer tell nothing. */
  | { readonly kind: 'disperse'; readonly k: number; readonly n: number }

/** What a connection is asked to do, as one of its ends sees it. */
export interface PathsOption {
  readonly send: PathMode
  readonly receive: PathMode
  /** What happens when there are too few relays for a mode: data waits for them, or the connection ends with `paths_short`. */
  readonly whenShort: 'wait' | 'fail'
}

/** A path for each share or copy: more relays than that are in no list that is attached to whole. */
const pathsMax = 8
/** A rotation faster than this would spend its time moving. */
const everyMinMs = 100
const everyMaxMs = 86_400_000
const everyDefaultMs = 10_000
/** Longest text that is looked at: all that can be said is far shorter. */
const textMax = 200

export const bestPaths: PathsOption = { send: { kind: 'best' }, receive: { kind: 'best' }, whenShort: 'wait' }

/**
 * Reads what {@link formatPaths} writes, and what people write: one mode for both directions, or `send=` and `receive=`; then `;short=wait` or
 * `;short=fail`. A direction that is not named is `best`. Without numbers: `mirror(2)`, `split(2)`, `disperse(2,3)`, `rotate(10s)`.
 * @throws SennitError `bad_paths` that names the text, what is allowed and the nearest name
 */
export function parsePaths(text: string): PathsOption {
  const plain = text.toLowerCase().replace(/\s+/g, '')
  if (plain === '' || plain.length > textMax) throw wrong(text, allowed)
  const [modes = '', ...settings] = plain.split(';')
  let whenShort: PathsOption['whenShort'] = 'wait'
  for (const setting of settings) {
    if (setting === 'short=wait' || setting === 'short=fail') whenShort = setting === 'short=wait' ? 'wait' : 'fail'
    else throw wrong(text, `expected short=wait or short=fail after ";"`, setting)
  }
  const parts = modes.split(/,(?![^(]*\))/)
  const named = parts.map((part) => /^(send|receive)=(.*)$/.exec(part))
  if (parts.length === 1 && named[0] === null) {
    const mode = parseMode(modes, text)
    return { send: mode, receive: mode, whenShort }
  }
  const found = new Map<string, PathMode>()
  for (const match of named) {
    if (match === null) throw wrong(text, 'expected send=MODE and receive=MODE when the two directions differ')
    if (found.has(match[1]!)) throw wrong(text, `expected ${match[1]}= once`)
    found.set(match[1]!, parseMode(match[2]!, text))
  }
  return { send: found.get('send') ?? bestPaths.send, receive: found.get('receive') ?? bestPaths.receive, whenShort }
}

/** The shortest text that {@link parsePaths} reads as the same. */
export function formatPaths({ send, receive, whenShort }: PathsOption): string {
  const [out, back] = [formatMode(send), formatMode(receive)]
  const modes = out === back ? out : `send=${out},receive=${back}`
  return whenShort === 'wait' ? modes : `${modes};short=fail`
}

/** Such as `mirror(2)` or `rotate(secret,10s)`. */
export function formatMode(mode: PathMode): string {
  switch (mode.kind) {
    case 'mirror':
    case 'split':
      return `${mode.kind}(${mode.n})`
    case 'disperse':
      return `disperse(${mode.k},${mode.n})`
    case 'rotate':
      return `rotate(${mode.how === 'regular' ? '' : `${mode.how},`}${formatDuration(mode.everyMs)})`
    default:
      return mode.kind
  }
}

/** The same as the other end sees it. */
export function turned({ send, receive, whenShort }: PathsOption): PathsOption {
  return { send: receive, receive: send, whenShort }
}

export function samePaths(left: PathsOption, right: PathsOption): boolean {
  return left === right || formatPaths(left) === formatPaths(right)
}

/** Relays that must carry a direction at once for the mode to be what it promises. */
export function pathsNeeded(mode: PathMode): number {
  if (mode.kind === 'mirror' || mode.kind === 'split' || mode.kind === 'disperse') return mode.n
  return mode.kind === 'rotate' || mode.kind === 'pair' ? 2 : 1
}

/** Relays without which nothing of a direction arrives: so many shares make a packet. */
export function pathsLeast(mode: PathMode): number {
  if (mode.kind === 'split') return mode.n
  return mode.kind === 'disperse' ? mode.k : 1
}

/** Relays that carry a direction when there are as many: each costs a path, and with `pair` it is one for each direction. */
export function pathsWanted(mode: PathMode): number {
  if (mode.kind === 'spread') return spreadPathsMax
  return mode.kind === 'rotate' ? rotatePathsMax : pathsNeeded(mode)
}

/** More paths than this share no more between them than they cost in acks. */
export const spreadPathsMax = 4
/** More relays than that are in no plan. */
export const rotatePathsMax = 8

const allowed = `expected ${modeNames.join(', ')}, or send=MODE,receive=MODE, and perhaps ;short=fail`

function parseMode(word: string, text: string): PathMode {
  const match = /^([a-z]+)(?:\(([^()]*)\))?$/.exec(word)
  const name = match?.[1] ?? word
  const values = match?.[2] === undefined || match[2] === '' ? [] : match[2].split(',')
  switch (match === null ? '' : name) {
    case 'best':
    case 'pair':
    case 'spread':
      if (values.length > 0) throw wrong(text, `expected ${name} without numbers`)
      return { kind: name as 'best' | 'pair' | 'spread' }
    case 'mirror':
    case 'split':
      if (values.length > 1) throw wrong(text, `expected ${name}(n) with one number`)
      return { kind: name as 'mirror' | 'split', n: values.length === 0 ? 2 : count(values[0]!, 2, pathsMax, `${name}(n)`, text) }
    case 'disperse': {
      if (values.length === 0) return { kind: 'disperse', k: 2, n: 3 }
      if (values.length !== 2) throw wrong(text, 'expected disperse(k,n) with two numbers')
      const n = count(values[1]!, 3, pathsMax, 'n of disperse(k,n)', text)
      return { kind: 'disperse', k: count(values[0]!, 2, n - 1, 'k of disperse(k,n)', text), n }
    }
    case 'rotate':
      return parseRotate(values, text)
    default:
      throw wrong(text, allowed, word, nearestMode(name))
  }
}

function parseRotate(values: readonly string[], text: string): PathMode {
  const how = values.find((value) => /^(regular|random|secret)$/.test(value)) ?? 'regular'
  const rest = values.filter((value) => value !== how)
  if (rest.length > 1 || values.length > 2) throw wrong(text, 'expected rotate(10s), rotate(random,10s) or rotate(secret,10s)')
  const everyMs = rest.length === 0 ? everyDefaultMs : milliseconds(rest[0]!)
  if (everyMs === undefined || everyMs < everyMinMs || everyMs > everyMaxMs)
    throw wrong(text, 'expected an interval from 100ms to 24h in rotate(…)', rest[0])
  return { kind: 'rotate', how: how as 'regular' | 'random' | 'secret', everyMs }
}

function count(value: string, from: number, to: number, what: string, text: string): number {
  const number = /^\d{1,3}$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= from && number <= to)) throw wrong(text, `expected a whole number from ${from} to ${to} for ${what}`, value)
  return number
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 }

function milliseconds(value: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|min|h)$/.exec(value)
  return match === null ? undefined : Math.round(Number(match[1]) * unitMs[match[2]!]!)
}

function formatDuration(ms: number): string {
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`
}

/** The facts carry the parts, for whoever says it in a form of its own. */
function wrong(text: string, expected: string, found?: string, near?: string): SennitError {
  const words = `${expected}${found === undefined ? '' : `; found "${found.slice(0, 80)}"`}${near === undefined ? '' : `. Nearest: ${near}`}`
  return new SennitError('bad_paths', `paths "${text.slice(0, 80)}": ${words}`, {
    paths: text.slice(0, textMax),
    expected,
    near: near ?? '',
  })
}
