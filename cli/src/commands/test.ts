// `sennit test new | check | run` (and `compare` beside this file): a workbook is the scenario, the limits and the report.
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, extname, join, resolve } from 'node:path'
import type { ReportKind, RunControls, RunResult, RunStatus } from '@sennit/loadtest'
import { type Command, Option } from 'commander'
import { usageError } from '../exit-codes.ts'
import { meshDirOf } from '../mesh-dir.ts'
import { createOutput, jsonOption } from '../output.ts'
import { endWithParent, programPath } from '../relay-process.ts'
import { onInterrupt } from '../signals.ts'
import { version } from '../version.ts'
import { addAgentCommand, addSharedRunOptions, type SharedRunOptions, sharedRun } from './test-agent.ts'
import { addCompareCommand } from './test-compare.ts'
import { addConvertCommand } from './test-convert.ts'
import { addKneeCommand } from './test-knee.ts'
import { openLivePageOf } from './test-live.ts'
import { readPlan } from './test-plan.ts'
import { addReplayCommand } from './test-replay.ts'
import { addShrinkCommand } from './test-shrink.ts'

interface RunOptions extends SharedRunOptions {
  readonly json?: boolean
  readonly out?: string
  readonly seed?: string
  readonly scale?: string
  readonly mesh?: string
  readonly relayList?: string
  readonly relayLog?: boolean
  readonly report?: string
  readonly livePort?: string
  readonly liveHost?: string
}

interface NewOptions {
  readonly clients: string
  readonly force?: boolean
  readonly json?: boolean
}

const codesHelp =
  '\nExit codes: 0 pass, 99 a limit broken, 104 bad workbook, 105 interrupted, 120 a byte lost, doubled, moved or changed, 121 a connection never recovered, 122 inconclusive, 1 bug. The first that applies, in the order 105, 120, 121, 99, 122, decides.'

export function addTestCommands(program: Command): void {
  const test = program.command('test').description('check and run test workbooks').addHelpText('after', codesHelp)
  test
    .command('new')
    .argument('<file>', 'workbook to write, .xlsx')
    .option('--clients <n>', 'rows of clients; they talk in pairs', '100')
    .option('--force', 'replace a file that is there')
    .addOption(jsonOption())
    .description('write a workbook to fill in: every sheet and column with its notes, and examples that run as they are')
    .addHelpText(
      'after',
      '\nExamples:\n  sennit test new my-test.xlsx\n  sennit test new small.xlsx --clients 10 && sennit test run small.xlsx',
    )
    .action(async (file: string, options: NewOptions) => {
      await writeNew(file, options)
    })
  test
    .command('check')
    .argument('<file>', 'workbook .xlsx, or its text twin .sennit.yaml')
    .option('--seed <n>', 'seed instead of the one in the workbook')
    .option('--scale <x>', 'share of the clients, such as 0.1')
    .addOption(jsonOption())
    .description('check a workbook; every problem at once, with cell, expectation, finding and hint')
    .addHelpText('after', `${codesHelp}\n\nExamples:\n  sennit test check scenarios/relay-failover.xlsx`)
    .action(async (file: string, options: RunOptions) => {
      const out = createOutput(options.json === true)
      const plan = await readPlan(file, options, out)
      if (plan === undefined) return
      const { describePlan } = await import('../run-text.ts')
      out.result(
        { ok: true, name: plan.name, clients: plan.clients.length, connections: plan.flows.length, acts: plan.acts.length },
        describePlan(plan),
      )
    })
  addSharedRunOptions(
    test
      .command('run')
      .argument('<file>', 'workbook .xlsx, or its text twin .sennit.yaml')
      .option('--out <dir>', 'where results go (default: sennit-results/NAME-TIME)')
      .option('--virtual', 'run in the simulated world: same cores, same checkers, simulated clock, network and relays')
      .option('--seed <n>', 'seed instead of the one in the workbook')
      .option('--scale <x>', 'share of the clients, such as 0.1')
      .addOption(
        new Option('--mesh <dir>', 'use the relays of a mesh that runs already (faults on relay processes are refused then)').env(
          'SENNIT_MESH',
        ),
      )
      .addOption(
        new Option('--relay-list <file>', 'the same, named by the signed relay list in the mesh directory').env('SENNIT_RELAY_LIST'),
      )
      .option('--report <kinds>', 'what to write beside summary.json, of html,xlsx,csv,junit,prometheus (default: what the workbook says)')
      .option('--live-port <n>', 'a page to watch and steer the run by, and /metrics: its port, auto for a free one, 0 for none')
      .option('--live-host <address>', 'where that page listens (default: 127.0.0.1); whoever has its whole address can stop the run')
      .option('--relay-log', 'pass on what relays log'),
  )
    .addOption(jsonOption())
    .description('run a workbook: verdict, summary.json, and report.html, NAME.result.xlsx, timeline.csv, junit.xml, metrics.prom as asked')
    .addHelpText(
      'after',
      `${codesHelp}\n\nExamples:\n  sennit test run scenarios/relay-failover.xlsx\n  sennit test run load.xlsx --scale 0.1 --out results\n  sennit test run load.xlsx --virtual --seed 7\n  sennit test run load.xlsx --mesh mesh\n  sennit test run load.xlsx --local-agents 4\n  sennit test run load.xlsx --agents 4 --coordinator 10.0.0.5:7700 --token T --mesh mesh\n  sennit test run load.xlsx --report html,junit,csv     # for a build server\n  sennit test run load.xlsx --live-port 8090            # watch and steer it in a browser`,
    )
    .action(async (file: string, options: RunOptions) => {
      await run(file, options)
    })
  addAgentCommand(test)
  addConvertCommand(test)
  addCompareCommand(test)
  addKneeCommand(test)
  addReplayCommand(test)
  addShrinkCommand(test)
}

async function writeNew(file: string, options: NewOptions): Promise<void> {
  const out = createOutput(options.json === true)
  if (extname(file).toLowerCase() !== '.xlsx') throw usageError(`expected a name that ends with .xlsx; found "${file}"`)
  const clients = Number(options.clients)
  const { newWorkbook, templateClientsMax } = await import('@sennit/loadtest')
  if (!Number.isInteger(clients) || clients < 2 || clients > templateClientsMax || clients % 2 !== 0)
    throw usageError(`--clients: expected an even number from 2 to ${templateClientsMax}; found "${options.clients}"`)
  const bytes = await newWorkbook({ clients })
  try {
    writeFileSync(file, bytes, { flag: options.force === true ? 'w' : 'wx' })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
    throw usageError(`expected no file at ${file} yet; found one. --force replaces it`)
  }
  out.result(
    { written: file, clients },
    `wrote ${file}: ${clients} clients. Fill it in, then: sennit test check ${file} && sennit test run ${file}`,
  )
}

async function run(file: string, options: RunOptions): Promise<void> {
  const out = createOutput(options.json === true)
  const meshDir = meshDirOf(options)
  const reports = options.report === undefined ? undefined : await reportsOf(options.report)
  const plan = await readPlan(file, options, out)
  if (plan === undefined) return
  const shared = sharedRun(options, plan, out)
  const outDir = resolve(options.out ?? join('sennit-results', `${basename(file, extname(file)).replace(/\.sennit$/i, '')}-${timeName()}`))
  mkdirSync(outDir, { recursive: true })
  const [{ describePlan, describeResult }, { openLiveScreen }] = await Promise.all([import('../run-text.ts'), import('../live-screen.ts')])
  const { environmentOf, writeReports } = await import('@sennit/loadtest')
  out.note(describePlan(plan))
  const page = await openLivePageOf(plan, options, out)
  const interruption = onInterrupt()
  const live = openLiveScreen(out, plan)
  interruption.signal.addEventListener('abort', () => {
    out.note('interrupted: heals faults, ends relays, writes the report of what there is; once more ends at once, without a report')
  })
  let result: RunResult
  try {
    const common = {
      plan,
      environment: environmentOf(options.virtual === true ? 'virtual' : 'local', version),
      signal: interruption.signal,
      onStatus: (status: RunStatus) => {
        live.show(status)
        page?.show(status)
      },
      onControls: (controls: RunControls) => {
        live.control(controls)
        page?.control(controls)
      },
    }
    const relays = {
      relayCommand: [...endWithParent(), process.execPath, programPath, 'relay'],
      ...(meshDir === undefined ? {} : { meshDir }),
      ...(options.relayLog === true ? { onRelayLog: (_relay: string, line: string) => process.stderr.write(`${line}\n`) } : {}),
    }
    if (options.virtual === true) result = await (await import('@sennit/loadtest/virtual')).runVirtual(common)
    else if (shared === undefined) result = await (await import('@sennit/loadtest')).runLive({ ...common, ...relays })
    else result = await (await import('@sennit/loadtest')).runAgents({ ...common, ...relays, ...shared })
  } catch (error) {
    // Nothing had begun that could be reported.
    if (!interruption.signal.aborted) throw error
    out.note(`interrupted before the run began: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = (await import('@sennit/loadtest')).exitCodes.interrupted
    return
  } finally {
    live.end()
    interruption.dispose()
  }
  page?.over(result.summary, result.reasons)
  const files = await writeReports({ result, outDir, workbook: file, ...(reports === undefined ? {} : { reports }) })
  out.result(result.summary, describeResult(result, Object.values(files)))
  process.exitCode = result.summary.exitCode
  await page?.close()
}

/** `html,junit` as `--report` takes it. */
async function reportsOf(text: string): Promise<readonly ReportKind[]> {
  const { reportKinds } = await import('@sennit/loadtest')
  const asked = text.split(',').map((word) => word.trim().toLowerCase())
  const wrong = asked.find((word) => !(reportKinds as readonly string[]).includes(word))
  if (wrong !== undefined) throw usageError(`--report: expected words of ${reportKinds.join(',')} with commas; found "${wrong}"`)
  return reportKinds.filter((kind) => asked.includes(kind))
}

function timeName(): string {
  return new Date().toISOString().slice(0, 19).replace(/[:T]/g, '-')
}
