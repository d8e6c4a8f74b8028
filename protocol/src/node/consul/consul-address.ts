/** Where a Consul agent is, and what the mesh is called there: `consul://host:port/service`. */

import { readFileSync } from 'node:fs'
import { SennitError } from '../../errors.ts'

export interface ConsulAddress {
  readonly host: string
  readonly port: number
  /** Over TLS: `consuls://`. */
  readonly secure: boolean
  /** Under which name relays register. @default 'sennit-relay' */
  readonly service: string
  /** The file with the ACL token; read anew at each use. @default the environment's CONSUL_HTTP_TOKEN */
  readonly tokenFile?: string
}

const defaultPort = 8_500
const defaultService = 'sennit-relay'

/** Whether a text means a Consul agent, rather than a file. */
export function isConsulUrl(text: string): boolean {
  return /^consuls?:\/\//.test(text)
}

/** Reads `consul://host[:port][/service][?token-file=FILE]`. @throws SennitError `bad_directory` */
export function parseConsulUrl(text: string): ConsulAddress {
  let url: URL
  try {
    if (!isConsulUrl(text)) throw new Error('another scheme')
    // Under a scheme of its own, or a port that is the default of http would be dropped.
    url = new URL(text)
  } catch (cause) {
    throw badDirectory(text, cause)
  }
  const service = url.pathname.replace(/^\//, '') || defaultService
  const tokenFile = url.searchParams.get('token-file') ?? undefined
  const strangers = [...url.searchParams.keys()].filter((key) => key !== 'token-file')
  if (url.hostname === '' || url.username !== '' || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(service) || strangers.length > 0)
    throw badDirectory(text)
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? defaultPort : Number(url.port),
    secure: url.protocol === 'consuls:',
    service,
    ...(tokenFile === undefined ? {} : { tokenFile }),
  }
}

/** The ACL token to show, if there is one. */
export function consulToken(address: ConsulAddress): string | undefined {
  if (address.tokenFile === undefined) return process.env.CONSUL_HTTP_TOKEN
  return readFileSync(address.tokenFile, 'utf8').trim()
}

function badDirectory(text: string, cause?: unknown): SennitError {
  return new SennitError(
    'bad_directory',
    `expected consul://host:port/service (or consuls:// for TLS, ?token-file=FILE), found '${text}'. For example: consul://127.0.0.1:8500`,
    { text },
    cause,
  )
}
