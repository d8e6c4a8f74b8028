// The options every command that talks to a mesh shares, and the client they open. The client library is loaded only when one is opened.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Client, ClientEvent, ClientOptions, KeyMode } from '@sennit/client'
import { type Command, Option } from 'commander'
import { parseDuration } from './durations.ts'
import { codedError, isCoded, usageError } from './exit-codes.ts'
import { createOutput, jsonOption, type Output } from './output.ts'
import { unlessAborted } from './signals.ts'

export interface CommonOptions {
  readonly json?: boolean
  readonly credential?: string
  readonly mesh?: string
  readonly relayList?: string
  readonly directory?: string
  readonly carrier?: string
  readonly bind?: string
  readonly proxy?: string
  readonly paths?: string
  readonly keyMode?: string
  readonly compress?: string
  readonly policy?: string
  readonly attach?: string
  readonly label?: string
  readonly wait?: string
}

/** Different troubles of sources that are told; a source that makes up a new one each second must not fill a disk. */
const toldMax = 100

/** What a command wants of its client beyond what the user said. */
export interface ClientWishes {
  /** Gets a random label, so that it never contends for a name with a command that stays. */
  readonly shortLived?: boolean
  readonly signal: AbortSignal
  readonly extra?: Partial<ClientOptions>
}

/** Adds the options of every client command; each may come from the environment as well. */
export function withClientOptions(command: Command): Command {
  return command
    .addOption(new Option('--credential <file>', 'credential file that `sennit user add` wrote').env('SENNIT_CREDENTIAL'))
    .addOption(new Option('--mesh <dir>', 'mesh directory: where the relay list is, and the control sockets').env('SENNIT_MESH'))
    .addOption(new Option('--relay-list <file>', 'signed relay list, instead of the one in --mesh').env('SENNIT_RELAY_LIST'))
    .addOption(
      new Option('--directory <url>', 'Consul, consul://host:port/service: where relays register; beside the list, or instead').env(
        'SENNIT_DIRECTORY',
      ),
    )
    .addOption(
      new Option(
        '--carrier <names>',
        'carriers to use, comma separated, best first: upgrade, http, grpc; for single relays r1=http;r2=upgrade,grpc (default: race them)',
      )
        .argParser(afterThis)
        .env('SENNIT_CARRIER'),
    )
    .addOption(
      new Option(
        '--bind <addresses>',
        'local addresses to dial from, comma separated; several are as many links to every relay (default: the system chooses)',
      ).env('SENNIT_BIND'),
    )
    .addOption(
      new Option(
        '--proxy <url>',
        'outbound proxy, http://, socks5:// or socks5h://[user:password@]host:port (default: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY)',
      ).env('SENNIT_PROXY'),
    )
    .addOption(
      new Option('--paths <mode>', 'how connections use their relays: best, mirror(2), send=spread,receive=best … (default: best)').env(
        'SENNIT_PATHS',
      ),
    )
    .addOption(
      new Option(
        '--key-mode <modes>',
        'who may read what is sent, all that are acceptable, comma separated: blind, relay, none (default: blind, nobody on the way)',
      ).env('SENNIT_KEY_MODE'),
    )
    .addOption(
      new Option('--compress <when>', 'compress messages: always, auto (where it pays), never (default: as the other end asks)')
        .choices(['always', 'auto', 'never'])
        .env('SENNIT_COMPRESS'),
    )
    .addOption(
      new Option('--policy <text>', 'relays wanted: pin=r1+r2, prefer=region:eu, avoid=r9, price=2 … (default: what measures best)').env(
        'SENNIT_POLICY',
      ),
    )
    .addOption(
      new Option('--attach <how>', 'relays to sit on: the best three, all, or all at first')
        .choices(['best', 'all', 'all-first'])
        .env('SENNIT_ATTACH'),
    )
    .addOption(new Option('--label <label>', 'label of this client, part of its name: bob/laptop').env('SENNIT_LABEL'))
    .addOption(new Option('--wait <duration>', 'how long to wait for the other end').env('SENNIT_WAIT').default('30s'))
    .addOption(jsonOption())
}

/** Where control sockets go and are looked for: the `run` folder of the mesh directory. */
export function runDirectory(options: CommonOptions): string | undefined {
  return options.mesh === undefined ? undefined : join(options.mesh, 'run')
}

export function waitMs(options: CommonOptions): number {
  return parseDuration(options.wait ?? '30s', '--wait')
}

/** Opens a client from the common options. @throws what `Client.open` throws, `usage`, or `interrupted` */
export async function openClient(options: CommonOptions, { shortLived, signal, extra }: ClientWishes): Promise<Client> {
  const relays = relayListOf(options)
  if (options.credential === undefined) {
    throw usageError(
      'expected --credential FILE (or SENNIT_CREDENTIAL); found none. `sennit user add NAME --mesh DIR` writes one to DIR/users/NAME.cred',
    )
  }
  const label = options.label ?? (shortLived === true ? `once-${randomBytes(6).toString('hex')}` : undefined)
  const [{ Client, growHeapFast, relayCacheBeside }] = await Promise.all([
    import('@sennit/client'),
    checkCredentialFile(options.credential),
  ])
  growHeapFast()
  const opening = Client.open({
    // By its name, so that the client looks at it again when it was renewed.
    credential: options.credential,
    relays,
    relayCache: relayCacheBeside(options.credential),
    ...(label === undefined ? {} : { label }),
    ...(options.carrier === undefined ? {} : { carriers: options.carrier }),
    ...(options.bind === undefined ? {} : { bind: options.bind.split(',').map((address) => address.trim()) }),
    ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
    ...(options.paths === undefined ? {} : { paths: options.paths }),
    ...(options.keyMode === undefined ? {} : { keyMode: options.keyMode.split(',').map((mode) => mode.trim()) as KeyMode[] }),
    ...(options.compress === undefined ? {} : { compress: options.compress === 'auto' ? 'auto' : options.compress === 'always' }),
    ...(options.policy === undefined ? {} : { policy: options.policy }),
    ...(options.attach === undefined ? {} : { attach: options.attach as NonNullable<ClientOptions['attach']> }),
    ...extra,
  })
  try {
    const client = await unlessAborted(opening, signal)
    tellOfFiles(client, createOutput(options.json === true))
    return client
  } catch (error) {
    void opening.then(
      (client) => client.close(),
      () => {},
    )
    throw error
  }
}

/** Notes a list or a credential that was not taken, with the reason, and one that ends soon; each once, not each time it is met again. */
function tellOfFiles(client: Client, out: Output): void {
  const told = new Set<string>()
  client.on((event) => {
    const text = wordsOf(event)
    if (text === undefined || told.has(text) || told.size >= toldMax) return
    told.add(text)
    out.note(text, { event })
  })
}

function wordsOf(event: ClientEvent): string | undefined {
  switch (event.type) {
    case 'directory_trouble':
      return `${event.source}: ${event.message} [${event.code}]`
    case 'relay_list_expires':
      return `the relay list ${event.over ? 'is over' : 'ends within a day'}; \`sennit mesh sign\` renews it`
    case 'credential_renewed':
      return `a renewed credential is in force; it ends at ${new Date(event.expiresMs).toISOString()}`
    case 'credential_trouble':
      return `${event.file}: ${event.message} [${event.code}]; the credential from before stays`
    case 'credential_expires':
      return `the credential ${event.over ? 'is over' : 'ends within a day'}; \`sennit user renew\` writes a new one`
    default:
      return undefined
  }
}

/** Every source that was named. With a directory the list may be missing: it is there for the day the directory is not. */
function relayListOf(options: CommonOptions): string[] {
  const { directory } = options
  const relayList = options.relayList ?? (options.mesh === undefined ? undefined : join(options.mesh, 'relays.list'))
  if (directory !== undefined) return relayList !== undefined && existsSync(relayList) ? [relayList, directory] : [directory]
  if (relayList === undefined)
    throw usageError(
      'expected --mesh DIR, --relay-list FILE or --directory URL (or SENNIT_MESH, SENNIT_RELAY_LIST, SENNIT_DIRECTORY); found none',
    )
  if (!existsSync(relayList))
    throw usageError(`no relay list at ${relayList}: expected a mesh that \`sennit mesh init\` or \`sennit mesh up\` made`)
  return [relayList]
}

/** Said twice, an option of parts says both. */
function afterThis(value: string, before: string | undefined): string {
  return before === undefined ? value : `${before};${value}`
}

/** A credential that is not one is refused like a wrong one, not taken for a slip in the command line. */
async function checkCredentialFile(file: string): Promise<void> {
  const { readCredential } = await import('@sennit/protocol/node')
  try {
    readCredential(file)
  } catch (error) {
    if (isCoded(error) && error.code === 'file_malformed') throw codedError('credential_malformed', error.message, { file }, error)
    throw error
  }
}
