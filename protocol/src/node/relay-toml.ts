/** `relay.toml` of a relay that is set up: written once, the operator's from then on. */

import type { RelayTraits } from '../trust/types.ts'

/** One relay to set up. */
export interface RelaySpec {
  readonly relayId: string
  /** Where clients reach it, `http://host:port` or `https://host:port`. */
  readonly url: string | readonly string[]
  /** `host:port` to listen on; each carries everything. */
  readonly listen: string | readonly string[]
  /** `host:port` of health and metrics. @default none */
  readonly admin?: string
  readonly failureDomain?: string
  readonly zone?: string
  /** What clients weigh when they choose; goes into the list and into the `[traits]` table of the relay's configuration. */
  readonly traits?: RelayTraits
  /** Where it registers: `consul://host:port/service`. @default nowhere */
  readonly directory?: string
  /** Keys of the `[limits]` table. @default raised on loopback, where one address is all clients */
  readonly limits?: Readonly<Record<string, number>>
}

/** The configuration of a relay that was just set up; paths in it are relative to it. */
export function relayToml(relayId: string, relay: RelaySpec): string {
  const listen = listOf(relay.listen)
  const lines = [
    `# Relay ${relayId}. Paths are relative to this file.`,
    `id = ${JSON.stringify(relayId)}`,
    `listen = [${listen.map((address) => JSON.stringify(address)).join(', ')}]`,
    ...(relay.admin === undefined ? [] : [`admin = ${JSON.stringify(relay.admin)}`]),
    'mesh = "../mesh.json"',
    `key = ${JSON.stringify(`${relayId}.key`)}`,
    `certificate = ${JSON.stringify(`${relayId}.cert`)}`,
    'users = "../users.list"',
    'relays = "../relays.list"',
    ...(relay.traits === undefined ? [] : ['', '[traits]', ...traitLines(relay.traits)]),
    ...(relay.directory === undefined ? [] : ['', '[directory]', ...directoryLines(relay)]),
  ]
  const limits = relay.limits ?? (listen.every(isLoopback) ? loopbackLimits : {})
  if (Object.keys(limits).length > 0) {
    lines.push('', '[limits]', ...Object.entries(limits).map(([key, value]) => `${key} = ${value}`))
  }
  return `${lines.join('\n')}\n`
}

function traitLines({ region, price, securityRating, uptime, speedMbps, qos }: RelayTraits): string[] {
  const values = { region, price, security_rating: securityRating, uptime, speed_mbps: speedMbps, qos }
  return Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : [`${key} = ${JSON.stringify(value)}`]))
}

/** On loopback every client comes from one address, and one user may be a whole test. */
export const loopbackLimits: Readonly<Record<string, number>> = {
  new_per_second: 10_000,
  new_burst: 10_000,
  open_per_address: 4_096,
  attachments_per_user: 16_384,
  lookups_per_second: 10_000,
  lookups_burst: 10_000,
}

function isLoopback(address: string): boolean {
  return /^(127\.|\[::1\]|localhost:)/.test(address)
}

function directoryLines({ directory, url, zone, failureDomain }: RelaySpec): string[] {
  const urls = listOf(url).map((one) => JSON.stringify(one))
  return [
    `consul = ${JSON.stringify(directory)}`,
    `urls = [${urls.join(', ')}]`,
    ...(zone === undefined ? [] : [`zone = ${JSON.stringify(zone)}`]),
    ...(failureDomain === undefined ? [] : [`failure_domain = ${JSON.stringify(failureDomain)}`]),
  ]
}

export function listOf(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value
}
