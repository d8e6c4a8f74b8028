// The column `config` of `Relays`: what a relay's own configuration says beyond that of the test set, in the words of `relay.toml`:
// `limits.attachments = 100; limits.memory_bytes = 64MiB; traits.region = eu`.
import { isName, type RelayLimitWord, relayLimitWords, type TraitWords } from '@sennit/protocol'
import type { PlanRelayConfig } from '../plan.ts'
import { duration, type Kind, size, whole } from './grammar.ts'
import { nearest } from './problems.ts'
import type { TableRow } from './table.ts'

/** A relay counts in whole numbers. */
const limitMax = Number.MAX_SAFE_INTEGER

/** From 0 to a largest value, with a fraction. */
function upTo(max: number, expected: string): Kind<number> {
  return {
    code: 'W107',
    expected,
    parse: (text) => (/^\d{1,12}(\.\d{1,9})?$/.test(text) && Number(text) <= max ? Number(text) : undefined),
  }
}

const traits: { readonly [Word in keyof TraitWords]-?: Kind<NonNullable<TraitWords[Word]>> } = {
  region: { code: 'W107', expected: 'a name of a-z 0-9 . _ -', parse: (text) => (isName(text) ? text : undefined) },
  price: upTo(1e9, 'a price from 0 to 1000000000'),
  security_rating: whole(0, 100),
  uptime: upTo(1, 'a share from 0 to 1, such as 0.999'),
  speed_mbps: upTo(1e9, 'a speed in Mbit/s, such as 1000'),
  qos: whole(0, 9),
}

/** Bytes as sizes, times as durations, everything else as a number; at least 1. */
function limitKind(word: string): Kind<number> {
  const kind = word.includes('bytes') ? size : word.endsWith('_ms') ? duration : whole(1, limitMax)
  const parse = (text: string): number | undefined => {
    const value = /^\d+$/.test(text) ? Number(text) : kind.parse(text)
    return value !== undefined && Number.isSafeInteger(value) && value >= 1 ? value : undefined
  }
  return { ...kind, expected: kind === duration ? 'whole milliseconds or a duration such as 2s' : kind.expected, parse }
}

const keys: readonly string[] = [
  ...Object.keys(relayLimitWords).map((word) => `limits.${word}`),
  ...Object.keys(traits).map((word) => `traits.${word}`),
]

/** Reads the cell; undefined when it says nothing. */
export function readRelayConfig(row: TableRow): PlanRelayConfig | undefined {
  const limits: Partial<Record<RelayLimitWord, number>> = {}
  const words: Record<string, string | number> = {}
  const seen = new Set<string>()
  for (const item of row.text('config').split(';')) {
    if (item.trim() === '') continue
    const [before = '', ...after] = item.split('=')
    const [key, text] = [before.trim().toLowerCase(), after.join('=').trim()]
    const found = `"${item.trim().slice(0, 60)}"`
    if (!keys.includes(key)) {
      const near = nearest(key, keys)
      const hint = near === undefined ? '' : `Nearest: ${near}`
      row.wrong('W112', 'config', 'expected settings of relay.toml such as limits.attachments = 100; traits.region = eu', found, hint)
      continue
    }
    if (seen.has(key)) {
      row.wrong('W113', 'config', 'expected each setting once', `${key} again`)
      continue
    }
    seen.add(key)
    const [table, word] = key.split('.') as [string, string]
    const kind: Kind<string | number> = table === 'limits' ? limitKind(word) : traits[word as keyof TraitWords]
    const value = kind.parse(text)
    if (value === undefined) row.wrong(kind.code, 'config', `expected ${key} = ${kind.expected}`, found)
    else if (table === 'limits') limits[word as RelayLimitWord] = value as number
    else words[word] = value
  }
  if (seen.size === 0) return undefined
  return {
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(Object.keys(words).length === 0 ? {} : { traits: words as TraitWords }),
  }
}
