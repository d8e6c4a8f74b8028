// `sennit test agent`, and what `sennit test run` needs to share a run with agents.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { AgentsOptions, Plan } from '@sennit/loadtest'
import { type Command, Option } from 'commander'
import { parseAddress, parseDuration } from '../durations.ts'
import { usageError } from '../exit-codes.ts'
import { createOutput, jsonOption, type Output } from '../output.ts'
import { endWithParent, programPath } from '../relay-process.ts'
import { untilDone } from '../signals.ts'
import { version } from '../version.ts'

interface AgentCommandOptions {
  readonly coordinator?: string
  readonly token?: string
  readonly zone?: string
  readonly rank?: string
  readonly size?: string
  readonly wait: string
  readonly ca?: string
  readonly json?: boolean
}

/** Options of `test run` for a run on several agents. */
export interface SharedRunOptions {
  readonly agents?: string
  readonly coordinator?: string
  readonly localAgents?: string | true
  readonly token?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly agentsWait: string
  readonly virtual?: boolean
}

const help = `
An agent serves one run: it dials its coordinator (\`test run --agents N\`), is handed its share of the clients, runs them from the agreed start on, and ends.
It needs a way out over HTTP or HTTPS only, through the proxy that HTTP_PROXY or HTTPS_PROXY names, and no port of its own. The coordinator's URL carries the
fingerprint of its certificate (#sha256=…) where no authority signed it.

Environment: COORDINATOR, TOKEN, ZONE, RANK (or JOB_COMPLETION_INDEX, NOMAD_ALLOC_INDEX, SLURM_PROCID), SIZE (or SLURM_NTASKS). Options go first.

Exit codes: 0 the run is over, whatever its verdict; 2 usage, 3 refused (wrong token or certificate, other version, rank taken, no place), 4 the coordinator cannot be reached or
is gone, 130 interrupted.

Examples:
  sennit test agent --coordinator http://10.0.0.5:7700 --token T
  ssh worker1 TOKEN=T sennit test agent --coordinator http://10.0.0.5:7700 --zone eu
  sennit test agent --coordinator 'https://10.0.0.5:7700#sha256=…' --token T
  srun -n 4 sennit test agent                  # Slurm, with COORDINATOR and TOKEN in the environment`

export function addAgentCommand(test: Command): void {
  test
    .command('agent')
    .addOption(new Option('--coordinator <url>', 'where the coordinator of the run listens').env('COORDINATOR'))
    .addOption(new Option('--token <t>', 'the token that it was started with').env('TOKEN'))
    .addOption(new Option('--zone <z>', 'run clients of this zone only (default: of any zone)').env('ZONE'))
    .option('--ca <file>', 'trust the authorities of this file (PEM) for https:// instead of those of the system')
    .option('--rank <r>', 'which agent this is, from 0 (default: $RANK, else the next one free)')
    .option('--size <n>', 'how many agents there are (default: $SIZE, else whatever the coordinator says)')
    .option('--wait <duration>', 'how long a coordinator that is not there yet is dialled', '60s')
    .addOption(jsonOption())
    .description('run a share of the clients of a test that is coordinated elsewhere')
    .addHelpText('after', help)
    .action(async (options: AgentCommandOptions) => {
      const out = createOutput(options.json === true)
      const { coordinator, token, zone = '' } = options
      if (coordinator === undefined || coordinator === '')
        throw usageError('expected --coordinator URL (or COORDINATOR in the environment) such as http://10.0.0.5:7700; found none')
      if (token === undefined || token === '')
        throw usageError('expected --token T (or TOKEN in the environment), as the coordinator has it; found none')
      const rank = wholeNumber('--rank', options.rank, ['RANK', 'JOB_COMPLETION_INDEX', 'NOMAD_ALLOC_INDEX', 'SLURM_PROCID'])
      const size = wholeNumber('--size', options.size, ['SIZE', 'SLURM_NTASKS'])
      const waitMs = parseDuration(options.wait, '--wait')
      const ca = options.ca === undefined ? undefined : authorities(options.ca)
      const { environmentOf, runAgent } = await import('@sennit/loadtest')
      const environment = environmentOf('local', version)
      await untilDone(async (signal) => {
        await runAgent({
          coordinator,
          ...(ca === undefined ? {} : { ca }),
          token: goodToken(token),
          zone,
          rank,
          size,
          version,
          environment,
          waitMs,
          signal,
          onNote: (text) => out.note(text),
        })
      })
      out.result({ ok: true }, 'the run is over')
    })
}

/** The options of `test run` that make it a coordinator. */
export function addSharedRunOptions(run: Command): Command {
  return run
    .option('--agents <n>', 'share the clients among so many agents: `sennit test agent` on other machines, or --local-agents')
    .option('--coordinator <addr:port>', 'where agents dial in; https://ADDR:PORT for TLS (default: a free port of 127.0.0.1, without)')
    .option(
      '--tls-cert <file>',
      'certificate for agents that come over https, PEM (default: one made for the run, known by its fingerprint)',
    )
    .option('--tls-key <file>', 'its private key, PEM')
    .option('--local-agents [n]', 'start so many of the agents here (default: all of them)')
    .addOption(new Option('--token <t>', 'what agents must know (default: made up, and printed)').env('TOKEN'))
    .option('--agents-wait <duration>', 'how long all agents are waited for', '60s')
}

/** What agents need to know, and how they come; undefined: the run is this process alone. */
export function sharedRun(options: SharedRunOptions, plan: Plan, out: Output): Shared | undefined {
  const { agents: asked, localAgents, coordinator } = options
  const engine = plan.run.engine ?? 'local'
  const inBook = engine !== 'local' || (plan.run.agents ?? 1) > 1
  if (options.virtual === true) {
    if (asked !== undefined || localAgents !== undefined || coordinator !== undefined)
      throw usageError('--virtual simulates everything in one process: leave --agents, --local-agents and --coordinator out')
    return undefined
  }
  if (asked === undefined && localAgents === undefined && coordinator === undefined && !inBook) {
    if (options.tlsCert !== undefined || options.tlsKey !== undefined)
      throw usageError('--tls-cert, --tls-key: expected --agents N or --local-agents; found a run in one process, where nobody dials in')
    return undefined
  }
  const locals = localAgents === undefined || localAgents === true ? undefined : count('--local-agents', localAgents)
  const agents = asked === undefined ? (plan.run.agents ?? locals) : count('--agents', asked)
  if (agents === undefined)
    throw usageError(
      `expected --agents N (or \`agents\` in the sheet Run): how many agents share the run; found none${engine === 'local' ? '' : ` (engine is ${engine})`}`,
    )
  // Without a word about where agents come from, they are started here.
  const here = locals ?? (localAgents === true || (asked === undefined && engine === 'local') ? agents : 0)
  if (here > agents) throw usageError(`--local-agents: expected at most the ${agents} agents of the run; found ${here}`)
  const { listen, tls } = door(options)
  const given = options.token !== undefined && options.token !== ''
  const token = given ? goodToken(options.token ?? '') : randomBytes(18).toString('base64url')
  return {
    agents,
    listen,
    ...(tls === undefined ? {} : { tls }),
    token,
    version,
    waitMs: parseDuration(options.agentsWait, '--agents-wait'),
    local: { count: here, command: [...endWithParent(), process.execPath, ...collections(here), programPath, 'test', 'agent'] },
    onNote: (text) => out.note(text),
    onListening: (url) => {
      const waiting = agents - here
      const shownToken = given ? '$TOKEN' : token
      out.note(
        waiting === 0
          ? `coordinator at ${url}; starts ${here} agents here`
          : `coordinator at ${url}; waits for ${waiting} of ${agents} agents:\n  ${launch(engine, url, shownToken, waiting)}`,
        { coordinator: url, agents, waiting, ...(given ? {} : { token }) },
      )
    },
  }
}

/**
 * Memory in MiB that a local agent fills between two small collections; Node has 16. A collection costs what is under way at its moment (a message waits up to a
 * second for its ack), so fewer are cheaper; and with 5 000 messages a second 128 MiB last longer than a second, so that hardly anything
 * lives through two of them, which would fill the old space and have all of it searched.
 */
const youngSpace = '--max-semi-space-size=128'

/** V8's flags for so many local agents. With no processor to spare its helper threads only get in the way: alone, a small collection costs less in all. */
function collections(agents: number): string[] {
  return agents < availableParallelism() ? [youngSpace] : [youngSpace, '--no-parallel-scavenge']
}

type Shared = Pick<AgentsOptions, 'agents' | 'listen' | 'tls' | 'token' | 'version' | 'waitMs' | 'local' | 'onNote' | 'onListening'>

/** Where agents dial in, and how it is secured. */
function door({ coordinator, tlsCert, tlsKey }: SharedRunOptions): Pick<AgentsOptions, 'listen' | 'tls'> {
  const [, scheme, address] = /^(?:(https?):\/\/)?(.*?)\/?$/.exec(coordinator ?? '127.0.0.1:0') ?? []
  const listen = parseAddress(address ?? '', '--coordinator')
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw usageError(`expected --tls-cert and --tls-key together; found ${tlsCert === undefined ? '--tls-key' : '--tls-cert'} alone`)
  if (tlsCert !== undefined && tlsKey !== undefined) {
    if (scheme === 'http') throw usageError('--tls-cert: expected --coordinator https://ADDR:PORT; found one with http://')
    return { listen, tls: { certificateFile: tlsCert, keyFile: tlsKey } }
  }
  return scheme === 'https' ? { listen, tls: 'self-signed' } : { listen }
}

function authorities(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw usageError(`--ca: expected a file with certificates (PEM); found ${(cause as Error).message}`)
  }
}

/** What to type where the agents are to be. */
function launch(engine: string, url: string, token: string, agents: number): string {
  const environment = `COORDINATOR=${url} TOKEN=${token}`
  switch (engine) {
    case 'slurm':
      return `${environment} sbatch --ntasks=${agents} deploy/agents/agents.sbatch`
    case 'nomad':
      return `nomad job run -var coordinator=${url} -var token=${token} -var agents=${agents} deploy/agents/agents.nomad.hcl`
    case 'kubernetes':
      return `a Job of ${agents} completions as in deploy/agents/agents.kubernetes.yaml, its secret with ${environment}`
    default:
      return `${environment} sennit test agent`
  }
}

/** It travels in a header. */
function goodToken(token: string): string {
  if (!/^[\x21-\x7e]{1,512}$/.test(token))
    throw usageError('--token: expected 1 to 512 letters, digits and signs without blanks; found something else')
  return token
}

function count(option: string, text: string): number {
  const value = Number(text)
  if (!/^\d{1,4}$/.test(text) || value < 1 || value > 1_000)
    throw usageError(`${option}: expected a whole number from 1 to 1000; found "${text}"`)
  return value
}

/** The option, or else the first of these that the environment has. */
function wholeNumber(option: string, given: string | undefined, names: readonly string[]): number | null {
  const name = names.find((one) => (process.env[one] ?? '') !== '')
  const text = given ?? (name === undefined ? undefined : process.env[name])
  if (text === undefined) return null
  if (!/^\d{1,6}$/.test(text))
    throw usageError(`${given === undefined ? name : option}: expected a whole number from 0 on; found "${text}"`)
  return Number(text)
}
