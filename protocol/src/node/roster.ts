/**
 * The relays of a mesh as its operator knows them (`roster.json`), and the signed list that is made of it: all of them, or those that a directory
 * sees. A directory only chooses among the operator's relays: it can name no relay of its own, no key, and no trait better than the operator's.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { hex, textOf, unhex } from '../bytes.ts'
import { SennitError } from '../errors.ts'
import { type SeenRelay, worseTraits } from '../trust/seen-relays.ts'
import type { RelayEntry } from '../trust/types.ts'
import { publicMode, readNamedFile, writeFileAtomically } from './atomic-file.ts'

const rosterType = 'sennit roster 1'

/** The operator's relays. A mesh that was made without a roster gets the one of its list. @throws SennitError `file_malformed` */
export function readRoster(directory: string, listed: readonly RelayEntry[]): readonly RelayEntry[] {
  const file = join(directory, 'roster.json')
  if (!existsSync(file)) return listed
  try {
    const { type, relays } = JSON.parse(textOf(readNamedFile(file, 'the relays of the mesh'))) as Record<string, unknown>
    if (type !== rosterType || !Array.isArray(relays)) throw new Error(`not of the type '${rosterType}'`)
    return relays.map((relay: RelayEntry & { key?: string }) => {
      const { key, ...entry } = relay
      return { ...entry, ...(key === undefined ? {} : { key: unhex(key as string) }) } as RelayEntry
    })
  } catch (cause) {
    if (cause instanceof SennitError && cause.code === 'file_unreadable') throw cause
    throw new SennitError('file_malformed', `${file}: expected the relays of the mesh: ${(cause as Error).message}`, { file }, cause)
  }
}

export function writeRoster(directory: string, relays: readonly RelayEntry[]): void {
  const texts = relays.map(({ key, ...entry }) => ({ ...entry, ...(key === undefined ? {} : { key: hex(key) }) }))
  const text = `${JSON.stringify({ type: rosterType, relays: texts }, undefined, 2)}\n`
  writeFileAtomically(join(directory, 'roster.json'), text, publicMode)
}

/** The entries of a list made of what a directory sees; relays that the operator does not know are left out, and named. */
export function entriesSeen(
  roster: readonly RelayEntry[],
  seen: readonly SeenRelay[],
): { relays: readonly RelayEntry[]; strangers: readonly string[] } {
  const byId = new Map(seen.map((relay) => [relay.relayId, relay]))
  const relays: RelayEntry[] = []
  for (const entry of roster) {
    const now = byId.get(entry.relayId)
    if (now === undefined) continue
    const traits = worseTraits(entry.traits, now.traits)
    const { draining: _draining, traits: _traits, ...known } = entry
    relays.push({
      ...known,
      urls: now.urls,
      ...(Object.keys(traits).length === 0 ? {} : { traits }),
      ...(now.draining === true ? { draining: true } : {}),
    })
  }
  const strangers = seen.map(({ relayId }) => relayId).filter((relayId) => !roster.some((entry) => entry.relayId === relayId))
  return { relays, strangers }
}

/** Whether two lists say the same of the same relays in the same order. */
export function sameEntries(left: readonly RelayEntry[], right: readonly RelayEntry[]): boolean {
  const text = (relays: readonly RelayEntry[]): string =>
    JSON.stringify(
      relays.map(({ relayId, urls, key, failureDomain, zone, traits = {}, draining = false }) => {
        const { region, price, securityRating, uptime, speedMbps, qos } = traits
        const told = [region, price, securityRating, uptime, speedMbps, qos]
        return [relayId, urls, key === undefined ? '' : hex(key), failureDomain, zone, told, draining]
      }),
    )
  return text(left) === text(right)
}
