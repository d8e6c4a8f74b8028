// The options every command that talks to a mesh shares, and the client they open.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Client, type ClientOptions } from '@sennit/client'
import { type Command, Option } from 'commander'
import { parseDuration } from './durations.ts'
import { usageError } from './exit-codes.ts'

export interface CommonOptions {
  readonly json?: boolean
  readonly credential?: string
  readonly mesh?: string
  readonly relayList?: string
  readonly carrier?: string
  readonly proxy?: string
  readonly label?: string
  readonly wait?: string
}

/** Adds the options of every client command; each may come from the environment as well. */
export function withClientOptions(command: Command): Command {
  return command
    .addOption(new Option('--credential <file>', 'credential file that `sennit user add` wrote').env('SENNIT_CREDENTIAL'))
    .addOption(new Option('--mesh <dir>', 'mesh directory: where the relay list is, and the control sockets').env('SENNIT_MESH'))
    .addOption(new Option('--relay-list <file>', 'signed relay list, instead of the one in --mesh').env('SENNIT_RELAY_LIST'))
    .addOption(
      new Option('--carrier <names>', 'carriers to use, comma separated, best first: upgrade, http, grpc (default: race them)').env(
        'SENNIT_CARRIER',
      ),
    )
    .addOption(
      new Option('--proxy <url>', 'outbound HTTP proxy, http://[user:password@]host:port (default: HTTP_PROXY, HTTPS_PROXY)').env(
        'SENNIT_PROXY',
      ),
    )
    .addOption(new Option('--label <label>', 'label of this client, part of its name: bob/laptop').env('SENNIT_LABEL'))
    .addOption(new Option('--wait <duration>', 'how long to wait for the other end').env('SENNIT_WAIT').default('30s'))
    .addOption(new Option('--json', 'JSON lines on stdout, logs on stderr').env('SENNIT_JSON'))
}

/** Where control sockets go and are looked for: the `run` folder of the mesh directory. */
export function runDirectory(options: CommonOptions): string | undefined {
  return options.mesh === undefined ? undefined : join(options.mesh, 'run')
}

export function waitMs(options: CommonOptions): number {
  return parseDuration(options.wait ?? '30s', '--wait')
}

/** Opens a client from the common options. `shortLived` clients get a random label, so that they never contend for a name. */
export async function openClient(options: CommonOptions, shortLived: boolean, extra: Partial<ClientOptions> = {}): Promise<Client> {
  if (options.credential === undefined) {
    throw usageError(
      'expected --credential FILE (or SENNIT_CREDENTIAL); found none. `sennit user add NAME --mesh DIR` writes one to DIR/users/NAME.cred',
    )
  }
  const relayList = options.relayList ?? (options.mesh === undefined ? undefined : join(options.mesh, 'relays.list'))
  if (relayList === undefined)
    throw usageError('expected --mesh DIR or --relay-list FILE (or SENNIT_MESH, SENNIT_RELAY_LIST); found neither')
  if (!existsSync(relayList))
    throw usageError(`no relay list at ${relayList}: expected a mesh that \`sennit mesh init\` or \`sennit mesh up\` made`)
  const label = options.label ?? (shortLived ? `once-${randomBytes(6).toString('hex')}` : undefined)
  const carriers = options.carrier
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  return Client.open({
    credential: options.credential,
    relays: relayList,
    ...(label === undefined ? {} : { label }),
    ...(carriers === undefined ? {} : { carriers }),
    ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
    ...extra,
  })
}
