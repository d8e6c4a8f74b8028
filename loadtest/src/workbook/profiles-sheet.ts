// The sheet `Profiles`, and the columns of `Clients` that override a profile.
import { formatPaths, parsePaths } from '@sennit/client/core'
import { SennitError } from '@sennit/protocol'
import type { Distribution } from '../plan.ts'
import { messageBytesMin } from '../verdict/message.ts'
import { messageBytesMax } from '../verdict/sizes.ts'
import { distribution, oneOf, rate, whole } from './grammar.ts'
import { Names, rowName } from './names.ts'
import type { Table, TableRow } from './table.ts'

/** How one end sends. */
export interface Traffic {
  readonly size: Distribution
  /** Messages a second, sent in groups of `burst`. */
  readonly rate: number
  readonly burst: number
}

export interface Profile extends Traffic {
  readonly profile: string
  readonly direction: 'send' | 'receive' | 'both'
  readonly check: 'full' | 'counter' | 'none'
  readonly paths: string
}

const defaults: Profile = {
  profile: 'default',
  size: { kind: 'const', value: 1024 },
  rate: 1,
  burst: 1,
  direction: 'both',
  check: 'full',
  paths: '',
}

/** A client of one process can send no faster. */
const rateMax = 1_000_000

export function readProfiles(table: Table): Names<Profile> {
  const profiles = new Names<Profile>(table, 'profile')
  for (const row of table.rows) {
    const profile = rowName(row, 'profile')
    const traffic = readTraffic(row, defaults)
    const direction = row.read('direction', oneOf(['send', 'receive', 'both']), 'both')
    const check = row.read('flow_check', oneOf(['full', 'counter', 'none']), 'full')
    row.notYet('think', ['0', '0s', '0ms'], 'expected nothing (it belongs to the closed model)')
    row.notYet('compression', ['no', 'none', 'off'], 'expected none')
    row.notYet('mode', ['reliable'], 'expected reliable')
    readKeyMode(row)
    const paths = readPaths(row, '')
    if (profile !== undefined) profiles.add(row, profile, { profile, ...traffic, direction, check, paths })
  }
  // Also when every row is wrong: the other sheets are read on with it, so that all errors come at once.
  if (profiles.all().length === 0) profiles.addDefault(defaults.profile, defaults)
  return profiles
}

/** `packet_size`, `rate` and `burst` of a row, over what holds without them. */
export function readTraffic(row: TableRow, over: Traffic): Traffic {
  const size = row.read('packet_size', distribution, over.size)
  const perSecond = row.read('rate', rate, over.rate)
  const burst = row.read('burst', whole(1, 100_000), over.burst)
  if (row.has('packet_size') && size.kind === 'const') {
    if (size.value < messageBytesMin)
      row.wrong('W107', 'packet_size', `expected at least ${messageBytesMin} bytes (a message carries its header twice)`)
    if (size.value > messageBytesMax) row.wrong('W107', 'packet_size', 'expected at most 64MiB')
  }
  if (perSecond > rateMax) row.wrong('W107', 'rate', `expected at most ${rateMax}/s`)
  return { size, rate: perSecond, burst }
}

/** `key_mode`: one is built. */
export function readKeyMode(row: TableRow): void {
  if (['none', 'relay'].includes(row.text('key_mode').toLowerCase())) row.notYet('key_mode', [], 'expected blind')
  else row.read('key_mode', oneOf(['blind', 'none', 'relay']), 'blind')
}

/** How connections use their relays, in the words of `--paths`; '' when the cell is blank. */
export function readPaths(row: TableRow, over: string): string {
  if (!row.has('paths')) return over
  try {
    return formatPaths(parsePaths(row.text('paths')))
  } catch (error) {
    if (!(error instanceof SennitError)) throw error
    const { expected, near } = error.facts
    row.wrong('W112', 'paths', String(expected), undefined, near === '' ? '' : `Nearest: ${near}`)
    return over
  }
}
