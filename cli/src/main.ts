// The program: one subcommand a file, one place that turns an error into words and an exit code.
// Definitions of commands load nothing but commander; what a command needs it loads when it runs, so that help and status answer at once.
import { Command, CommanderError } from 'commander'
import { addFileCommands } from './commands/files.ts'
import { addMeshCommands } from './commands/mesh.ts'
import { addRelayCommand } from './commands/relay.ts'
import { addSimulateCommand } from './commands/simulate.ts'
import { addStatusCommands } from './commands/status.ts'
import { addTestCommands } from './commands/test.ts'
import { addTunnelCommands } from './commands/tunnel.ts'
import { addUserCommands } from './commands/user.ts'
import { EXIT, exitCodeOf, exitCodeOfUncaught, isCoded, isSystemError } from './exit-codes.ts'
import { version } from './version.ts'

/** Runs one command line to its end and ends the process with its exit code. Never throws. */
export async function main(argv: readonly string[]): Promise<void> {
  // Whoever read our first lines and closed the pipe (`| head -1`) wants no more words, not the end of a server.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  process.on('uncaughtException', (error) => {
    tell(asUncaught(error), argv)
    process.exit(exitCodeOfUncaught(error))
  })
  const program = createProgram()
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage
    else {
      process.exitCode = exitCodeOf(error)
      tell(error, argv)
    }
  }
  // Whatever a library still holds (a dial that was given up, a timer) must not keep a finished command alive.
  await Promise.all([flushed(process.stdout), flushed(process.stderr)])
  process.exit()
}

function createProgram(): Command {
  const program = new Command('sennit')
    .description('Connections that outlive any relay: no byte lost, none twice, none out of order, and no relay can read one.')
    .version(version)
    .showHelpAfterError('(add --help for the options and examples)')
    .addHelpText(
      'after',
      '\nExit codes: 0 ok (a server that was told to stop, too), 1 bug, 2 usage, 3 refused, 4 no relay or peer, 130 interrupted.\n`sennit test` has its own, in its help.\n\nStart here:\n  sennit mesh up --dir mesh\n  sennit user add bob --mesh mesh && sennit user add alice --mesh mesh\n  sennit expose web 127.0.0.1:8080 --credential mesh/users/bob.cred --mesh mesh\n  sennit forward 9000 bob/web --credential mesh/users/alice.cred --mesh mesh',
    )
  addMeshCommands(program)
  addUserCommands(program)
  addRelayCommand(program)
  addTunnelCommands(program)
  addFileCommands(program)
  addStatusCommands(program)
  addTestCommands(program)
  addSimulateCommand(program)
  for (const command of every(program)) {
    command.exitOverride()
    if (command !== program) command.showHelpAfterError(`(\`${nameOf(command)} --help\` shows the options and examples)`)
  }
  return program
}

function every(command: Command): Command[] {
  return [command, ...command.commands.flatMap(every)]
}

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`
}

function tell(error: unknown, argv: readonly string[]): void {
  process.stderr.write(
    argv.includes('--json') || process.env.SENNIT_JSON !== undefined ? `${JSON.stringify(asJson(error))}\n` : `${inWords(error)}\n`,
  )
}

/** An error of ours that nobody caught, in the words of a bug. */
function asUncaught(error: unknown): unknown {
  return isCoded(error) && exitCodeOfUncaught(error) === EXIT.bug
    ? new Error(`nobody caught ${error.code}: ${error.message}`, { cause: error })
    : error
}

function asJson(error: unknown): object {
  if (isCoded(error)) return { error: { code: error.code, message: error.message, facts: error.facts } }
  if (isSystemError(error)) return { error: { code: error.code, message: error.message, facts: { path: error.path } } }
  return { error: { code: 'bug', message: error instanceof Error ? error.stack : String(error) } }
}

function inWords(error: unknown): string {
  if (isCoded(error)) return `sennit: ${error.message} [${error.code}]`
  if (isSystemError(error)) return `sennit: ${error.message}`
  return `sennit: this is a bug, please report it: ${error instanceof Error ? error.stack : String(error)}`
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((done) => {
    if (stream.destroyed || !stream.writable) done()
    else stream.write('', () => done())
  })
}
