// The sheet `Profiles`, and the columns of `Clients` that override a profile.
import { formatPaths, parsePaths } from '@sennit/client/core'
import { SennitError } from '@sennit/protocol'
import type { Compress, Distribution } from '../plan.ts'
import { messageBytesMin } from '../verdict/message.ts'
import { datagramBytesMax, messageBytesMax } from '../verdict/sizes.ts'
import { distribution, durations, type Kind, oneOf, rate, whole } from './grammar.ts'
import { Names, rowName } from './names.ts'
import type { Table, TableRow } from './table.ts'

export type KeyMode = 'blind' | 'relay' | 'none'

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
  readonly keyMode: KeyMode
  readonly mode: 'reliable' | 'datagram'
  /** undefined: the cell is blank. */
  readonly compress: Compress | undefined
  /** How long it waits, in ms, before it sends again after it was answered; undefined: the cell is blank. */
  readonly think: Distribution | undefined
}

const defaults: Profile = {
  profile: 'default',
  size: { kind: 'const', value: 1024 },
  rate: 1,
  burst: 1,
  direction: 'both',
  check: 'full',
  paths: '',
  keyMode: 'blind',
  mode: 'reliable',
  compress: undefined,
  think: undefined,
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
    const think = readThink(row)
    const compress = readCompress(row)
    const mode = row.read('mode', oneOf(['reliable', 'datagram', 'lossy']), 'reliable') === 'reliable' ? 'reliable' : 'datagram'
    const keyMode = readKeyMode(row, 'blind')
    const paths = readPaths(row, '')
    if (mode === 'datagram') checkDatagrams(row, traffic, compress)
    if (profile !== undefined) profiles.add(row, profile, { profile, ...traffic, direction, check, paths, keyMode, mode, compress, think })
  }
  // Also when every row is wrong: the other sheets are read on with it, so that all errors come at once.
  if (profiles.all().length === 0) profiles.addDefault(defaults.profile, defaults)
  return profiles
}

/** Who thinks has no rate, and does not answer itself. */
function readThink(row: TableRow): Distribution | undefined {
  if (!row.has('think')) return undefined
  const think =
    row.text('think') === '0' ? ({ kind: 'const', value: 0 } as const) : row.read('think', thinkKind, { kind: 'const', value: 0 })
  if (row.has('rate'))
    row.wrong('W123', 'rate', 'expected nothing (think says when the next message is due: so long after the last answer)')
  if (row.has('direction') && row.text('direction').toLowerCase() !== 'both')
    row.wrong('W123', 'direction', 'expected both (who thinks waits for an answer)')
  if (row.text('mode').toLowerCase() !== 'reliable' && row.has('mode'))
    row.wrong('W123', 'mode', 'expected reliable (who waits for an answer to a datagram may wait for ever)')
  return think
}

/** No wait is a wait too. */
const thinkKind: Kind<Distribution> = {
  ...durations,
  parse: (text) => (/^0(ms|s)?$/.test(text) ? { kind: 'const', value: 0 } : durations.parse(text)),
}

function readCompress(row: TableRow): Compress | undefined {
  if (!row.has('compression')) return undefined
  const word = row.read('compression', oneOf(['none', 'no', 'off', 'auto', 'always']), 'none')
  return word === 'auto' || word === 'always' ? word : 'never'
}

function checkDatagrams(row: TableRow, { size }: Traffic, compress: Compress | undefined): void {
  checkDatagramSize(row, size)
  if (compress === 'auto' || compress === 'always')
    row.wrong('W107', 'compression', 'expected none (datagrams go as they are, only messages are compressed)')
}

/** A datagram goes in one packet. */
export function checkDatagramSize(row: TableRow, size: Distribution): void {
  if (row.has('packet_size') && size.kind === 'const' && size.value > datagramBytesMax)
    row.wrong('W107', 'packet_size', `expected at most ${datagramBytesMax} bytes (a datagram goes in one packet)`)
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

/** `key_mode`: who may read what is sent. */
export function readKeyMode(row: TableRow, over: KeyMode): KeyMode {
  return row.read('key_mode', oneOf(['blind', 'relay', 'none']), over)
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
