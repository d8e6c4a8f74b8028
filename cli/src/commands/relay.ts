// `sennit relay`: one relay, until it is told to end. SIGTERM drains, SIGINT ends at once.
import { type Command, Option } from 'commander'
import { parseDuration } from '../durations.ts'
import { createOutput, jsonOption } from '../output.ts'

interface RelayOptions {
  readonly config: string
  readonly listen?: string
  readonly admin?: string
  readonly directory?: string
  readonly url?: string
  readonly drain?: string
  readonly exitWithStdin?: boolean
  readonly json?: boolean
}

export function addRelayCommand(program: Command): void {
  program
    .command('relay')
    .addOption(new Option('--config <file>', 'relay.toml').env('SENNIT_RELAY_CONFIG').makeOptionMandatory())
    .option('--drain <duration>', 'on SIGTERM, how long clients have to move away (default: [drain] of the config, else 5s)')
    .addOption(
      new Option('--listen <addresses>', 'where it listens, comma separated, instead of what the config says').env('SENNIT_RELAY_LISTEN'),
    )
    .addOption(new Option('--admin <address>', 'health and metrics, instead of what the config says').env('SENNIT_RELAY_ADMIN'))
    .addOption(
      new Option('--directory <url>', 'where it registers, consul://host:port/service, instead of what the config says').env(
        'SENNIT_RELAY_DIRECTORY',
      ),
    )
    .addOption(
      new Option('--url <urls>', 'where clients reach it, as it registers, comma separated, instead of what the config says').env(
        'SENNIT_RELAY_URL',
      ),
    )
    .option('--exit-with-stdin', 'end when standard input ends (a parent uses this, so that no relay outlives it)')
    .addOption(jsonOption())
    .description('run one relay')
    .addHelpText(
      'after',
      '\nSIGTERM drains: clients move to other relays first, then the relay exits. SIGINT, or a second SIGTERM, ends at once. Logs are JSON on stderr.\n\nExamples:\n  sennit relay --config mesh/relays/r1.toml\n  sennit relay --config /etc/sennit/relay.toml --drain 30s\n  sennit relay --config r1.toml --listen 0.0.0.0:24001 --url http://10.0.0.7:24001',
    )
    .action(async (options: RelayOptions) => {
      await runRelay(options)
    })
}

async function runRelay(options: RelayOptions): Promise<void> {
  const out = createOutput(options.json === true)
  const drainMs = options.drain === undefined ? undefined : parseDuration(options.drain, '--drain')
  let end: (how: 'drain' | 'now') => void = () => {}
  const asked: { how: 'drain' | 'now' | undefined } = { how: undefined }
  const ask = (how: 'drain' | 'now'): void => {
    asked.how = asked.how === undefined ? how : 'now'
    end(asked.how)
  }
  process.on('SIGTERM', () => ask('drain'))
  process.on('SIGINT', () => ask('now'))
  if (options.exitWithStdin === true) {
    for (const event of ['end', 'close', 'error']) process.stdin.once(event, () => ask('now'))
    process.stdin.resume()
  }
  const [{ readRelayConfig, startRelay }, { growHeapFast }] = await Promise.all([import('@sennit/relay'), import('@sennit/protocol/node')])
  growHeapFast()
  const { listen, admin, directory, url } = options
  const config = readRelayConfig(options.config, {
    ...(listen === undefined ? {} : { listen: listen.split(',') }),
    ...(admin === undefined ? {} : { admin }),
    ...(directory === undefined ? {} : { directory }),
    ...(url === undefined ? {} : { urls: url.split(',') }),
  })
  const relay = await startRelay(config)
  const ended = new Promise<void>((done, fail) => {
    end = (how) => (how === 'drain' ? relay.drain(drainMs === undefined ? {} : { withinMs: drainMs }) : relay.close()).then(done, fail)
  })
  out.result(
    { ready: true, id: relay.id, url: relay.url, adminUrl: relay.adminUrl ?? null, pid: process.pid },
    `relay ${relay.id} listens on ${relay.url}${relay.adminUrl === undefined ? '' : `, admin on ${relay.adminUrl}`}`,
  )
  if (asked.how !== undefined) end(asked.how)
  await ended
}
