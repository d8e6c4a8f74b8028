// The program: one subcommand a file, one place that turns an error into words and an exit code.
import { SennitError } from '@sennit/protocol'
import { Command, CommanderError } from 'commander'
import { addFileCommands } from './commands/files.ts'
import { addMeshCommands } from './commands/mesh.ts'
import { addRelayCommand } from './commands/relay.ts'
import { addSimulateCommand } from './commands/simulate.ts'
import { addStatusCommands } from './commands/status.ts'
import { addTestCommands } from './commands/test.ts'
import { addTunnelCommands } from './commands/tunnel.ts'
import { addUserCommands } from './commands/user.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import { version } from './version.ts'

/** Runs one command line and sets the exit code of the process. Never throws. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('sennit')
    .description('Connections that outlive any relay: no byte lost, none twice, none out of order, and no relay can read one.')
    .version(version)
    .exitOverride()
    .showHelpAfterError('(add --help for the options and examples)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      '\nExit codes: 0 ok, 1 bug, 2 usage, 3 refused, 4 no relay or peer, 130 interrupted. `sennit test` has its own, in its help.\n\nStart here:\n  sennit mesh up --dir mesh\n  sennit user add bob --mesh mesh && sennit user add alice --mesh mesh\n  sennit expose web 127.0.0.1:8080 --credential mesh/users/bob.cred --mesh mesh\n  sennit forward 9000 bob/web --credential mesh/users/alice.cred --mesh mesh',
    )
  addMeshCommands(program)
  addUserCommands(program)
  addRelayCommand(program)
  addTunnelCommands(program)
  addFileCommands(program)
  addStatusCommands(program)
  addTestCommands(program)
  addSimulateCommand(program)
  for (const command of every(program)) command.exitOverride()
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage
      return
    }
    process.exitCode = exitCodeOf(error)
    process.stderr.write(argv.includes('--json') ? `${JSON.stringify(asJson(error))}\n` : `${inWords(error)}\n`)
  }
}

function every(command: Command): Command[] {
  return [command, ...command.commands.flatMap(every)]
}

function asJson(error: unknown): object {
  if (error instanceof SennitError) return { error: { code: error.code, message: error.message, facts: error.facts } }
  return { error: { code: 'bug', message: String(error) } }
}

function inWords(error: unknown): string {
  if (error instanceof SennitError) return `sennit: ${error.message} [${error.code}]`
  return `sennit: this is a bug, please report it: ${error instanceof Error ? error.stack : String(error)}`
}
