// The sheet `Clients`: rows become clients, one by one, with `{n}` and `count` filled in.
import { isIP } from 'node:net'
import type { Distribution, PlanRelay, PlanZone } from '../plan.ts'
import {
  anyText,
  bandwidth,
  duration,
  durations,
  type Kind,
  name,
  oneOf,
  type Schedule,
  schedule,
  size,
  whole,
  words,
  yesNo,
} from './grammar.ts'
import { type Injection, injections } from './injections.ts'
import type { Names } from './names.ts'
import type { Problems } from './problems.ts'
import { checkDatagramSize, type KeyMode, type Profile, readKeyMode, readPaths, readTraffic, type Traffic } from './profiles-sheet.ts'
import type { Table, TableRow } from './table.ts'

/** A client before it is paired. */
export interface Client {
  readonly row: TableRow
  /** 1-based, within its row. */
  readonly n: number
  readonly client: string
  readonly user: string
  readonly label: string
  readonly tags: readonly string[]
  readonly zone: string
  readonly application: string
  readonly profile: Profile
  readonly traffic: Traffic
  /** '' = a neighbour. `{n}` is filled in. */
  readonly peer: string
  readonly relays: RelayChoice
  readonly carrier: 'auto' | 'upgrade' | 'http' | 'grpc'
  /** None: one link, from where the system chooses. */
  readonly bind: readonly string[]
  readonly proxy: string
  readonly paths: string
  readonly keyMode: KeyMode
  readonly attachAtMs: number
  readonly detachAtMs: number | null
  readonly connect: Exclude<Schedule, { kind: 'after' }>
  /** How long a connection lasts, in ms; null: as long as it is there. */
  readonly session: Distribution | null
  readonly disconnect: 'clean' | 'reset' | 'vanish'
  /** When it connects again after a session: ms, at once, or not at all (null). */
  readonly reconnect: Distribution | 'now' | 'default' | null
  readonly expect: 'delivered' | 'rejected' | 'disconnected'
  /** It has the certificate of its user and another key: it injects a bad password from the start, and expects to be rejected. */
  readonly wrongKey: boolean
  /** Made by the test set, to answer the client before it. */
  readonly echo: boolean
  readonly dataLimitBytes: number | null
  readonly readBytesPerSecond: number | null
  readonly injections: readonly Injection[]
  readonly note: string
}

export type RelayChoice = { readonly kind: 'nearest' | 'random' } | { readonly kind: 'list'; readonly relays: readonly string[] }

/** More do not fit into one process; several agents come later. */
const clientsMax = 50_000

/** The application that clients meet for when the sheet says nothing. */
const defaultApplication = 'test'

export interface ClientsContext {
  readonly zones: Names<PlanZone>
  readonly relays: Names<PlanRelay>
  readonly profiles: Names<Profile>
  readonly durationMs: number
  readonly problems: Problems
}

export function readClients(table: Table, context: ClientsContext): Client[] {
  const clients: Client[] = []
  const taken = new Map<string, string>()
  for (const row of table.rows) {
    const expanded = readRow(row, context, clientsMax - clients.length)
    for (const client of expanded) {
      const key = client.client.toLowerCase()
      const before = taken.get(key)
      if (before === undefined) taken.set(key, row.address('client'))
      else {
        row.wrong('W113', 'client', `expected a name that is not used above (${before})`, `"${client.client}" again`)
        break
      }
      clients.push(client)
    }
  }
  return clients
}

function readRow(row: TableRow, context: ClientsContext, room: number): Client[] {
  const written = row.need('client', name)
  const count = row.read('count', whole(1, clientsMax), 1)
  const enabled = row.read('enabled', yesNo, true)
  const profile = context.profiles.find(row, 'profile', context.profiles.all()[0]!)
  const traffic = readTraffic(row, profile)
  const user = row.read('user', name, '')
  const peer = row.read('peer', peerName, '')
  const common = {
    row,
    tags: row.read('tags', words, []),
    zone: context.zones.find(row, 'zone', { zone: '', label: '' }).zone,
    application: row.read('application', name, defaultApplication),
    profile,
    traffic,
    relays: readRelayChoice(row, context.relays),
    carrier: readCarrier(row),
    bind: row.read('bind', bindAddresses, []),
    proxy: row.read('proxy', proxyUrl, ''),
    paths: readPaths(row, profile.paths),
    keyMode: readKeyMode(row, profile.keyMode),
    attachAtMs: row.read('attach_at', duration, 0),
    detachAtMs: row.read('detach_at', detachTime, null),
    connect: readConnect(row, context.durationMs),
    session: row.read<Distribution | null>('session', durations, null),
    disconnect: row.read('disconnect', oneOf(['clean', 'reset', 'vanish']), 'clean'),
    reconnect: row.read('reconnect', reconnectKind, 'default'),
    expect: row.read('expect', oneOf(['delivered', 'rejected', 'disconnected']), 'delivered'),
    wrongKey: false,
    echo: false,
    dataLimitBytes: row.read<number | null>('data_limit', size, null),
    readBytesPerSecond: row.read('read_rate', bandwidth, null),
    injections: row.read('inject', injections, []),
    note: row.read('note', anyText, ''),
  }
  if (profile.mode === 'datagram') checkDatagramSize(row, traffic.size)
  const wrongKey = common.expect === 'rejected' && common.injections.some(isThief)
  checkTimes(row, common, context.durationMs)
  if (written === undefined || !enabled) return []
  if (count > room) {
    row.wrong('W118', 'count', `expected at most ${clientsMax} clients in all`, String(count))
    return []
  }
  return Array.from({ length: count }, (_, i) => {
    const n = i + 1
    const client = filled(written, n, count)
    const userName = (user === '' ? client : filled(user, n, 1)).toLowerCase()
    return {
      ...common,
      ...(wrongKey ? { wrongKey, injections: common.injections.filter((one) => !isThief(one)) } : {}),
      n,
      client,
      user: userName,
      label: userName === client.toLowerCase() ? '' : client.toLowerCase(),
      peer: peer.replaceAll('{n}', String(n)),
    }
  })
}

/** From the start, and for good. */
function isThief({ word, when }: Injection): boolean {
  return word === 'bad_password' && when.kind === 'once'
}

/** `cam-{n}` → `cam-7`. A row of several without `{n}` gets `-7` at its end. */
function filled(written: string, n: number, count: number): string {
  if (written.includes('{n}')) return written.replaceAll('{n}', String(n))
  return count === 1 ? written : `${written}-${n}`
}

function checkTimes(row: TableRow, times: { attachAtMs: number; detachAtMs: number | null }, durationMs: number): void {
  const { attachAtMs, detachAtMs } = times
  if (attachAtMs >= durationMs)
    row.wrong('W120', 'attach_at', `expected before the end of the load (${durationMs / 1000}s)`, row.text('attach_at'))
  if (detachAtMs !== null && detachAtMs <= attachAtMs) {
    const start = row.has('attach_at') ? `${row.address('attach_at')} = ${row.text('attach_at')}` : 'default = 0s'
    row.wrong('W120', 'detach_at', `expected later than attach_at (${start})`, row.text('detach_at'))
  }
}

/** A time, or null for the end. */
const detachTime: Kind<number | null> = {
  code: 'W102',
  expected: 'a duration such as 30s, or end',
  parse: (text) => (text.toLowerCase() === 'end' ? null : duration.parse(text)),
  guess: (text) => duration.guess?.(text),
}

const peerName: Kind<string> = {
  code: 'W107',
  expected: 'the name of a client or of a row of several, * (it only listens), or nothing (the neighbour)',
  parse: (text) => (text === '*' ? text : name.parse(text)),
}

/** As the client library has it: one link from each to every relay. */
const linksMax = 8

const bindAddresses: Kind<readonly string[]> = {
  code: 'W107',
  expected: `1 to ${linksMax} different addresses of its machine, such as 127.0.0.2,127.0.0.3`,
  parse: (text) => {
    const list = text
      .split(/[,;]/)
      .map((one) => one.trim())
      .filter((one) => one !== '')
    return list.length > 0 && list.length <= linksMax && new Set(list).size === list.length && list.every((one) => isIP(one) !== 0)
      ? list
      : undefined
  },
}

const proxyUrl: Kind<string> = {
  code: 'W107',
  expected: 'none or the URL of a proxy such as http://127.0.0.1:3128',
  parse: (text) => {
    if (text.toLowerCase() === 'none') return ''
    return /^https?:\/\/[^\s]+$/i.test(text) && URL.canParse(text) ? text : undefined
  },
}

function readCarrier(row: TableRow): Client['carrier'] {
  if (row.text('carrier').toLowerCase() === 'websocket') {
    row.wrong(
      'W123',
      'carrier',
      'expected auto, upgrade, http or grpc (websocket is the carrier of browsers; simulated clients are Node programs)',
    )
    return 'auto'
  }
  return row.read('carrier', oneOf(['auto', 'upgrade', 'http', 'grpc']), 'auto')
}

function readConnect(row: TableRow, durationMs: number): Client['connect'] {
  const when = row.read('connect', schedule, { kind: 'once' })
  if (when.kind === 'after') {
    row.wrong('W109', 'connect', 'expected once, never, at(30s), every(5m,±10%) or poisson(0.2/s)')
    return { kind: 'once' }
  }
  if (when.kind === 'at' && when.atMs >= durationMs)
    row.wrong('W120', 'connect', `expected before the end of the load (${durationMs / 1000}s)`)
  return when
}

const reconnectKind: Kind<Client['reconnect']> = {
  code: 'W102',
  expected: 'yes, no, or how long after the end of a session, such as 5s or exp(10s)',
  parse: (text) => {
    const word = text.toLowerCase()
    if (word === 'yes' || word === 'auto') return 'now'
    return word === 'no' || word === 'never' ? null : durations.parse(text)
  },
  guess: (text) => durations.guess?.(text),
}

const relayChoice: Kind<RelayChoice> = {
  code: 'W112',
  expected: 'nearest, random or list(r1,r2)',
  parse: (text) => {
    const plain = text.toLowerCase().replace(/ /g, '')
    if (plain === 'nearest' || plain === 'random') return { kind: plain }
    const list = /^list\(([\w.,-]{1,500})\)$/.exec(plain)
    return list === null ? undefined : { kind: 'list', relays: list[1]!.split(',').filter((one) => one !== '') }
  },
}

function readRelayChoice(row: TableRow, relays: Names<PlanRelay>): RelayChoice {
  const choice = row.read('relays', relayChoice, { kind: 'nearest' })
  if (choice.kind !== 'list') return choice
  const unknown = choice.relays.filter((relay) => relays.get(relay) === undefined)
  for (const relay of unknown)
    row.wrong('W111', 'relays', 'expected names of enabled relays', `"${relay}"`, `no such relay in ${relays.range()}`)
  const known = choice.relays.filter((relay) => !unknown.includes(relay))
  return known.length === 0 ? { kind: 'nearest' } : { kind: 'list', relays: known.map((relay) => relays.get(relay)!.relay) }
}
