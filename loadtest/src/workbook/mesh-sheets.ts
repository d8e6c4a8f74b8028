// The sheets `Zones`, `Links` and `Relays`: what the mesh and the network look like.
import { agentsMax, type PlanLink, type PlanRelay, type PlanZone } from '../plan.ts'
import { anyText, bandwidth, duration, type Kind, percent, quantity, whole, yesNo } from './grammar.ts'
import { Names, rowName } from './names.ts'
import { readRelayConfig } from './relay-config.ts'
import { signedDuration, signedPercent } from './signed.ts'
import type { Table, TableRow } from './table.ts'

/** Without a sheet `Relays` the test set starts this many. */
const defaultRelays = 3
const linkBytesPerSecondMin = 1_000
/** Certificates last a year: what is further off shows nothing else. */
const clockOffsetMaxMs = 87_600 * 3_600_000
/** Beyond it a client's timers, which do not drift, are late enough to look like a process that was stopped. */
const clockDriftMax = 0.1
/** One machine does not run more relay processes than this. */
const relaysMax = 64

export function readZones(table: Table): Names<PlanZone> {
  const zones = new Names<PlanZone>(table, 'zone')
  for (const row of table.rows) {
    const zone = rowName(row, 'zone')
    const agentsMin = row.read('agents_min', whole(0, agentsMax), 0)
    const label = row.read('label', anyText, '')
    const clock = readClock(row)
    if (zone !== undefined) zones.add(row, zone, { zone, label, ...(agentsMin === 0 ? {} : { agentsMin }), ...clock })
  }
  return zones
}

/** How wrong the clocks of a zone are; nothing where they are right. */
function readClock(row: TableRow): Pick<PlanZone, 'clockOffsetMs' | 'clockDrift'> {
  const clockOffsetMs = row.read('clock_offset', signedDuration, 0)
  const clockDrift = row.read('clock_drift', signedPercent, 0)
  if (Math.abs(clockOffsetMs) > clockOffsetMaxMs) row.wrong('W102', 'clock_offset', 'expected at most 10 years (87600h) either way')
  if (Math.abs(clockDrift) > clockDriftMax) row.wrong('W105', 'clock_drift', 'expected from -10% to 10% (no clock of a machine is worse)')
  return { ...(clockOffsetMs === 0 ? {} : { clockOffsetMs }), ...(clockDrift === 0 ? {} : { clockDrift }) }
}

export function readLinks(table: Table, zones: Names<PlanZone>): PlanLink[] {
  const links = new Map<string, PlanLink>()
  const mirrored = new Map<string, PlanLink>()
  const none: PlanZone = { zone: '', label: '' }
  for (const row of table.rows) {
    const ends = (['from', 'to'] as const).map((column) => {
      if (row.has(column)) return zones.find(row, column, none).zone
      row.wrong('W114', column, `expected one of the names in ${zones.range()}`)
      return ''
    })
    const rttMs = row.need('rtt', duration) ?? 0
    const jitterMs = row.read('jitter', duration, 0)
    const lossBurst = row.read('loss_burst', lossBurstKind, 1)
    const lossShare = row.read('loss', percent, 0)
    const bytesPerSecond = row.read('bandwidth', bandwidth, null)
    if (lossShare > 0.5) row.wrong('W105', 'loss', 'expected at most 50%')
    if (bytesPerSecond !== null && bytesPerSecond < linkBytesPerSecondMin)
      row.wrong('W104', 'bandwidth', 'expected at least 1KB/s (a handshake would take longer than anybody waits)')
    const nature = {
      rttMs,
      jitterMs,
      ...(bytesPerSecond === null ? {} : { bytesPerSecond }),
      ...(lossShare === 0 ? {} : { lossShare }),
      ...(lossShare === 0 || lossBurst === 1 ? {} : { lossBurst }),
    }
    const symmetric = row.read('symmetric', yesNo, true)
    const [from, to] = ends as [string, string]
    if (from === '' || to === '') continue
    const key = `${from}>${to}`
    if (links.has(key)) row.wrong('W113', 'to', 'expected each pair of zones once', `${key} again`)
    links.set(key, { from, to, ...nature })
    if (symmetric && from !== to) mirrored.set(`${to}>${from}`, { from: to, to: from, ...nature })
  }
  for (const [key, link] of mirrored) if (!links.has(key)) links.set(key, link)
  return [...links.values()]
}

/** How many packets are lost in a row, on average. */
const lossBurstKind: Kind<number> = {
  code: 'W107',
  expected: 'a number of packets from 1 to 1000, such as 3',
  parse: (text) => {
    const value = quantity.parse(text)
    return value !== undefined && (value === 0 || (value >= 1 && value <= 1_000)) ? Math.max(1, value) : undefined
  },
}

const relayUrl: Kind<string> = {
  code: 'W107',
  expected: 'a URL such as http://127.0.0.1:8443',
  parse: (text) => {
    if (!/^https?:\/\/[^\s/?#]+\/?$/i.test(text)) return undefined
    try {
      return new URL(text).origin
    } catch {
      return undefined
    }
  },
  guess: (text) => (/^[\w.-]+:\d{1,5}$/.test(text) ? `http://${text}` : undefined),
}

export function readRelays(table: Table, zones: Names<PlanZone>): Names<PlanRelay> {
  const relays = new Names<PlanRelay>(table, 'relay')
  const nowhere: PlanZone = { zone: '', label: '' }
  for (const row of table.rows) {
    const relay = rowName(row, 'relay')
    const zone = zones.find(row, 'zone', nowhere).zone
    const url = row.read('url', relayUrl, '')
    const managed = row.read('managed', yesNo, true)
    const weight = row.read('weight', quantity, 1)
    const failureDomain = row.read('failure_domain', anyText, '')
    const config = readRelayConfig(row)
    if (config !== undefined && !managed)
      row.wrong('W123', 'config', 'expected nothing for a relay that is not managed (its operator configures it)')
    const enabled = row.read('enabled', yesNo, true)
    const { clockOffsetMs, clockDrift } = zones.get(zone) ?? {}
    if (!managed && (clockOffsetMs !== undefined || clockDrift !== undefined))
      row.wrong('W123', 'zone', `expected a zone whose clocks are right (nobody sets the clock of a relay that is not managed)`, zone)
    if (managed && url !== '') row.wrong('W123', 'url', 'expected nothing for a managed relay (the test set chooses a loopback port)')
    if (!managed && url === '' && !row.has('url')) row.wrong('W114', 'url', 'expected the URL of a relay that is not managed')
    if (relay !== undefined && enabled)
      relays.add(row, relay.toLowerCase(), {
        relay: relay.toLowerCase(),
        zone,
        url,
        managed,
        weight,
        failureDomain,
        ...(config === undefined ? {} : { config }),
      })
  }
  if (table.rows.length === 0) {
    for (let i = 1; i <= defaultRelays; i++) {
      relays.addDefault(`r${i}`, { relay: `r${i}`, zone: '', url: '', managed: true, weight: 1, failureDomain: '' })
    }
  } else if (relays.all().length === 0) table.rows[0]!.wrong('W114', 'enabled', 'expected at least one relay that is enabled', 'none')
  else if (relays.all().length > relaysMax)
    table.rows[relaysMax]!.wrong('W118', 'relay', `expected at most ${relaysMax} relays`, String(relays.all().length))
  return relays
}
