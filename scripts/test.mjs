// `npm test`: the law, every suite, the virtual seeds. Ends with `N passed, N failed`, the sum over all of them.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { check } from './check.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
/** Seeds of the simulated world in every test run: enough that what is interesting happens in some of them, in a minute or two. */
const seeds = 300

const scratch = mkdtempSync(join(tmpdir(), 'sennit-test-'))
let passed = 0
let failed = 0
try {
  const law = check()
  passed += law.passed
  failed += law.failed

  const report = join(scratch, 'vitest.json')
  const suites = await run(`${root}node_modules/.bin/vitest`, [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ])
  const counts = readJson(report)
  if (counts === undefined) {
    console.log(`FAILED  vitest ended with ${suites.code} and left no report`)
    failed += 1
  } else {
    passed += counts.numPassedTests
    failed += counts.numFailedTests
    // A suite that cannot even load has no failed test of its own, yet nothing of it was proved; nor is an unhandled error a pass.
    const broken = counts.testResults.filter(
      (file) => file.status === 'failed' && !file.assertionResults.some((one) => one.status === 'failed'),
    )
    failed += broken.length
    if (suites.code !== 0 && counts.numFailedTests === 0 && broken.length === 0) failed += 1
  }

  const world = await run(process.execPath, [`${root}cli/bin/sennit.mjs`, 'simulate', '--seeds', String(seeds), '--json'], true)
  const last = world.stdout.trim().split('\n').at(-1) ?? ''
  try {
    const summary = JSON.parse(last)
    passed += summary.passed
    failed += summary.failed
    console.log(`virtual world: ${summary.passed} seeds passed, ${summary.failed} failed`)
    if (summary.failed > 0) console.log(world.stdout)
    if (world.code !== 0 && summary.failed === 0) failed += 1
  } catch {
    console.log(`FAILED  the virtual world ended with ${world.code} and no summary:\n${world.stdout}`)
    failed += 1
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function run(command, args, capture = false) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', capture ? 'pipe' : 'inherit', 'inherit'] })
    let stdout = ''
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      stdout += text
    })
    child.on('error', (error) => resolve({ code: 1, stdout: String(error) }))
    child.on('close', (code) => resolve({ code: code ?? 1, stdout }))
  })
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
