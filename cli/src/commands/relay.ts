// `sennit relay`: one relay, until it is told to end. SIGTERM drains, SIGINT ends at once.
import { readRelayConfig, startRelay } from '@sennit/relay'
import type { Command } from 'commander'
import { parseDuration } from '../durations.ts'
import { createOutput } from '../output.ts'

export function addRelayCommand(program: Command): void {
  program
    .command('relay')
    .requiredOption('--config <file>', 'relay.toml')
    .option('--drain <duration>', 'on SIGTERM, how long clients have to move away', '10s')
    .option('--exit-with-stdin', 'end when standard input ends (a parent uses this, so that no relay outlives it)')
    .option('--json', 'JSON lines on stdout when ready')
    .description('run one relay')
    .addHelpText(
      'after',
      '\nSIGTERM drains: clients move to other relays first, then the relay exits. SIGINT ends at once.\n\nExamples:\n  sennit relay --config mesh/relays/r1.toml',
    )
    .action(async (options: { config: string; drain: string; exitWithStdin?: boolean; json?: boolean }) => {
      const out = createOutput(options.json === true)
      const drainMs = parseDuration(options.drain, '--drain')
      const relay = await startRelay(await readRelayConfig(options.config))
      let ending: Promise<void> | undefined
      const end = (drain: boolean): void => {
        if (ending !== undefined && drain) return
        ending = (drain ? relay.drain({ withinMs: drainMs }) : relay.close()).then(() => process.exit(0))
      }
      process.on('SIGTERM', () => end(true))
      process.on('SIGINT', () => end(false))
      if (options.exitWithStdin === true) {
        process.stdin.on('end', () => end(false))
        process.stdin.on('error', () => end(false))
        process.stdin.resume()
      }
      out.result(
        { ready: true, id: relay.id, url: relay.url, adminUrl: relay.adminUrl, pid: process.pid },
        `relay ${relay.id} listens on ${relay.url}, admin on ${relay.adminUrl}`,
      )
    })
}
