// `sennit user add | list | revoke`: who may use a mesh.
import { type Command, Option } from 'commander'
import { parseDuration } from '../durations.ts'
import { usageError } from '../exit-codes.ts'
import { createOutput, jsonOption, table } from '../output.ts'

interface UserOptions {
  readonly mesh?: string
  readonly json?: boolean
  readonly applications?: string
  readonly validFor?: string
  readonly policy?: string
}

const meshOption = (): Option => new Option('--mesh <dir>', 'mesh directory').env('SENNIT_MESH')

export function addUserCommands(program: Command): void {
  const user = program.command('user').description('add, list and revoke users of a mesh')
  user
    .command('add')
    .argument('<name>', 'letters, digits, dots, dashes and underscores')
    .addOption(meshOption())
    .option('--applications <names>', 'applications the user may use, comma separated (default: all)')
    .option('--valid-for <duration>', 'how long the certificate holds, at most 1y', '1y')
    .option('--policy <text>', 'which relays its clients want unless they say otherwise, such as prefer=region:eu,price=2')
    .addOption(jsonOption())
    .description('register a user and write DIR/users/NAME.cred')
    .addHelpText(
      'after',
      '\nExamples:\n  sennit user add bob --mesh ./mesh\n  sennit user add alice --mesh ./mesh --applications web,postgres --valid-for 30d',
    )
    .action(async (name: string, options: UserOptions) => {
      const validMs = parseDuration(options.validFor ?? '1y', '--valid-for')
      const applications = options.applications === undefined ? undefined : namesOf(options.applications)
      const { addUser } = await import('@sennit/protocol/node')
      const file = await addUser(meshOf(options), name, {
        applications: applications ?? [],
        notAfterMs: Date.now() + validMs,
        ...(options.policy === undefined ? {} : { policy: await checkedPolicy(options.policy) }),
      })
      createOutput(options.json === true).result({ user: name, credential: file }, `user ${name} added; credential file: ${file}`)
    })
  user
    .command('renew')
    .argument('<name>', 'user that is registered')
    .addOption(meshOption())
    .option('--applications <names>', 'applications the user may use, comma separated (default: as in the old DIR/users/NAME.cred)')
    .option('--valid-for <duration>', 'how long the certificate holds, at most 1y', '1y')
    .addOption(jsonOption())
    .description('give a user new keys and write DIR/users/NAME.cred anew; the old ones hold until their end')
    .addHelpText(
      'after',
      '\nCopy the new file over the old one of each program of the user: a program that runs takes it within a second or two, and goes on. A stolen file is taken back with `sennit user revoke`.\n\nExamples:\n  sennit user renew bob --mesh ./mesh',
    )
    .action(async (name: string, options: UserOptions) => {
      const validMs = parseDuration(options.validFor ?? '1y', '--valid-for')
      const { renewUser } = await import('@sennit/protocol/node')
      const file = await renewUser(meshOf(options), name, {
        notAfterMs: Date.now() + validMs,
        ...(options.applications === undefined ? {} : { applications: namesOf(options.applications) }),
      })
      createOutput(options.json === true).result({ user: name, credential: file }, `user ${name} renewed; new credential file: ${file}`)
    })
  user
    .command('list')
    .addOption(meshOption())
    .addOption(jsonOption())
    .description('list the users of a mesh')
    .addHelpText('after', '\nExamples:\n  sennit user list --mesh ./mesh\n  sennit user list --mesh ./mesh --json')
    .action(async (options: UserOptions) => {
      const { listUsers } = await import('@sennit/protocol/node')
      const users = await listUsers(meshOf(options))
      createOutput(options.json === true).result(
        { users },
        table(
          ['user', 'state', 'epoch'],
          users.map((one) => [one.user, one.revoked ? 'revoked' : 'active', String(one.epoch)]),
        ),
      )
    })
  user
    .command('revoke')
    .argument('<name>', 'user to revoke')
    .addOption(meshOption())
    .addOption(jsonOption())
    .description('take a credential back: live attachments end within 5 s')
    .addHelpText('after', '\nExamples:\n  sennit user revoke bob --mesh ./mesh')
    .action(async (name: string, options: UserOptions) => {
      const { revokeUser } = await import('@sennit/protocol/node')
      await revokeUser(meshOf(options), name)
      createOutput(options.json === true).result({ user: name, revoked: true }, `user ${name} revoked`)
    })
}

function namesOf(text: string): string[] {
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
}

function meshOf(options: UserOptions): string {
  if (options.mesh === undefined) throw usageError('expected --mesh DIR (or SENNIT_MESH); found neither')
  return options.mesh
}

/** The text as it was given, once the client library can read it: a slip is found here, not by every client later. */
async function checkedPolicy(text: string): Promise<string> {
  const { parsePolicy } = await import('@sennit/client')
  parsePolicy(text)
  return text
}
