/** `relay.toml`: what a relay needs to know, read once at start. Every error names the file and the key. */

import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import {
  isName,
  type MeshTrust,
  type RelayIdentity,
  type RelayTraits,
  relayLimitWords,
  SennitError,
  traitsOfWords,
  verifyRelayCertificate,
} from '@sennit/protocol'
import { type ConsulAddress, nodeCrypto, parseConsulUrl, readMeshTrust, readRelayIdentity, urlsMax } from '@sennit/protocol/node'
import { parse, TomlError } from 'smol-toml'
import { z } from 'zod'
import type { RelayLimits } from '../core/index.ts'

/** An address to listen on. Port 0 lets the system choose. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** Everything `startRelay` needs, with keys and certificates read and checked. */
export interface RelayConfig {
  readonly identity: RelayIdentity
  readonly trust: MeshTrust
  /** At least one. */
  readonly listen: readonly ListenAddress[]
  /** @default none: no admin port */
  readonly admin?: ListenAddress
  /** The signed list of users; read again when it changes. */
  readonly usersFile: string
  /** The signed list of relays, for clients that ask. @default none is handed out */
  readonly relaysFile?: string
  /** What the relay says of itself in a directory. */
  readonly traits?: RelayTraits
  /** Where it registers. @default nowhere */
  readonly directory?: RelayDirectoryConfig
  readonly tls?: { readonly certificate: Buffer; readonly key: Buffer }
  readonly limits?: Partial<RelayLimits>
  /** What clients are told on drain. @default within 5 s, spread over 2 s */
  readonly drain?: { readonly withinMs: number; readonly spreadMs: number }
  /** @default info */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

/** Registration in Consul. */
export interface RelayDirectoryConfig {
  readonly consul: ConsulAddress
  /** Where clients reach the relay. @default its listen addresses, when they name a host */
  readonly urls?: readonly string[]
  readonly zone?: string
  readonly failureDomain?: string
  /** Without a heartbeat for so long the entry counts as dead. @default 10 000 */
  readonly ttlMs: number
}

/** Three heartbeats go into it: a relay that was killed counts as dead in ten seconds, and a busy one is never late. */
const ttlMsDefault = 10_000

const count = z.number().int().positive()
const address = z.string().transform((text, context): ListenAddress => {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) {
    context.addIssue({ code: 'custom', message: `expected "host:port" or "[ipv6]:port", found ${JSON.stringify(text)}` })
    return z.NEVER
  }
  return { host: (match[1] ?? match[2])!, port }
})

/** Each is a limit of the relay. */
const limitKeys = relayLimitWords satisfies Record<string, keyof RelayLimits>

const limitShape = Object.fromEntries(Object.keys(limitKeys).map((key) => [key, count.optional()])) as Record<
  keyof typeof limitKeys,
  z.ZodOptional<z.ZodNumber>
>

const schema = z.strictObject({
  id: z.string().min(1),
  listen: z.array(address).min(1),
  admin: address.optional(),
  mesh: z.string(),
  key: z.string(),
  certificate: z.string(),
  users: z.string(),
  relays: z.string().optional(),
  tls: z.strictObject({ certificate: z.string(), key: z.string() }).optional(),
  limits: z.strictObject(limitShape).optional(),
  traits: z
    .strictObject({
      region: z.string().refine(isName, 'expected a name of a-z 0-9 . _ -').optional(),
      price: z.number().min(0).max(1e9).optional(),
      security_rating: z.number().int().min(0).max(100).optional(),
      uptime: z.number().min(0).max(1).optional(),
      speed_mbps: z.number().min(0).max(1e9).optional(),
      qos: z.number().int().min(0).max(9).optional(),
    })
    .optional(),
  directory: z
    .strictObject({
      consul: z.string(),
      urls: z
        .array(z.url({ protocol: /^https?$/ }).max(60))
        .min(1)
        .max(urlsMax)
        .optional(),
      zone: z.string().max(64).optional(),
      failure_domain: z.string().max(64).optional(),
      ttl_ms: z.number().int().min(1_000).max(86_400_000).optional(),
    })
    .optional(),
  drain: z.strictObject({ within_ms: count, spread_ms: count }).optional(),
  log: z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error', 'silent']) }).optional(),
})

/** What an engine that starts relays (Nomad, Kubernetes) knows only then, in the words of `relay.toml`: in place of what stands there. */
export interface RelayConfigOverrides {
  readonly listen?: readonly string[]
  readonly admin?: string
  /** Where it registers: `consul://host:port/service`. */
  readonly directory?: string
  /** Where clients reach it, as it registers. */
  readonly urls?: readonly string[]
}

/**
 * Reads a `relay.toml` and the files it names; paths in it are relative to it.
 * @throws SennitError `config_unreadable`, `config_invalid` (with every fault at once), `certificate_*`
 */
export function readRelayConfig(tomlFile: string, overrides: RelayConfigOverrides = {}): RelayConfig {
  const file = resolve(tomlFile)
  const text = readNamed(file, file, 'the relay configuration').toString('utf8')
  const parsed = schema.safeParse(overridden(parseToml(file, text), overrides))
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => {
      const key = issue.path.join('.')
      return key === '' ? issue.message : `${key}: ${issue.message}`
    })
    throw new SennitError('config_invalid', `${file}: ${faults.join('; ')}`, { file, faults })
  }
  const raw = parsed.data
  const at = (path: string): string => resolve(dirname(file), path)
  const crypto = nodeCrypto()
  const named = <Result>(key: string, read: () => Result): Result => {
    try {
      return read()
    } catch (cause) {
      if (cause instanceof SennitError)
        throw new SennitError(cause.code, `${file}: ${key}: ${cause.message}`, { ...cause.facts, file, key }, cause)
      throw new SennitError('config_unreadable', `${file}: ${key}: ${(cause as Error).message}`, { file, key }, cause)
    }
  }
  const trust = named('mesh', () => readMeshTrust(at(raw.mesh)))
  const identity = named('key', () => readRelayIdentity(raw.id, at(raw.key), at(raw.certificate)))
  const certificate = named('certificate', () => verifyRelayCertificate(trust, identity.certificate, Date.now(), crypto))
  if (certificate.relayId !== raw.id)
    throw new SennitError('config_invalid', `${file}: id: is ${raw.id}, but ${raw.certificate} was issued to ${certificate.relayId}`, {
      file,
      key: 'id',
    })
  if (Buffer.compare(certificate.staticKey, identity.staticKey.publicKey) !== 0)
    throw new SennitError('config_invalid', `${file}: key: ${raw.key} is not the key that ${raw.certificate} certifies`, {
      file,
      key: 'key',
    })
  const { tls, limits, drain, traits, directory } = raw
  return {
    identity,
    trust,
    listen: raw.listen,
    usersFile: at(raw.users),
    ...(raw.relays === undefined ? {} : { relaysFile: at(raw.relays) }),
    ...(traits === undefined ? {} : { traits: traitsOfWords(traits) }),
    ...(directory === undefined ? {} : { directory: named('directory', () => directoryOf(directory, raw.listen)) }),
    ...(raw.admin === undefined ? {} : { admin: raw.admin }),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            certificate: readNamed(file, at(tls.certificate), 'tls.certificate'),
            key: readNamed(file, at(tls.key), 'tls.key'),
          },
        }),
    ...(limits === undefined ? {} : { limits: limitsOf(limits) }),
    ...(drain === undefined ? {} : { drain: { withinMs: drain.within_ms, spreadMs: drain.spread_ms } }),
    ...(raw.log === undefined ? {} : { logLevel: raw.log.level }),
  }
}

function directoryOf(raw: NonNullable<z.infer<typeof schema>['directory']>, listen: readonly ListenAddress[]): RelayDirectoryConfig {
  if (raw.urls === undefined && listen.some(({ host }) => host === '0.0.0.0' || host === '::'))
    throw new SennitError('config_invalid', 'expected urls = ["http://HOST:PORT"], for a relay that listens on every address; found none')
  return {
    consul: parseConsulUrl(raw.consul),
    ttlMs: raw.ttl_ms ?? ttlMsDefault,
    ...(raw.urls === undefined ? {} : { urls: raw.urls }),
    ...(raw.zone === undefined ? {} : { zone: raw.zone }),
    ...(raw.failure_domain === undefined ? {} : { failureDomain: raw.failure_domain }),
  }
}

function limitsOf(raw: Partial<Record<keyof typeof limitKeys, number | undefined>>): Partial<RelayLimits> {
  const limits: { -readonly [Key in keyof RelayLimits]?: number } = {}
  for (const key of Object.keys(limitKeys) as (keyof typeof limitKeys)[]) {
    const value = raw[key]
    if (value !== undefined) limits[limitKeys[key]] = value
  }
  return limits
}

function overridden(raw: Record<string, unknown>, { listen, admin, directory, urls }: RelayConfigOverrides): Record<string, unknown> {
  const registers = {
    ...(raw.directory as object | undefined),
    ...(directory === undefined ? {} : { consul: directory }),
    ...(urls === undefined ? {} : { urls }),
  }
  return {
    ...raw,
    ...(listen === undefined ? {} : { listen }),
    ...(admin === undefined ? {} : { admin }),
    ...(Object.keys(registers).length === 0 ? {} : { directory: registers }),
  }
}

function parseToml(file: string, text: string): Record<string, unknown> {
  try {
    return parse(text)
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    throw new SennitError('config_invalid', `${file}:${cause.line}:${cause.column}: ${cause.message}`, { file, line: cause.line }, cause)
  }
}

function readNamed(file: string, path: string, key: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new SennitError('config_unreadable', `${file}: ${key}: ${(cause as Error).message}`, { file, key, path }, cause)
  }
}
