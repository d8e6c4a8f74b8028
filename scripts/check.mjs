// The whole law, one line a rule: types, lint, import walls, dead code, package shape, shipped workbooks.
// `npm run check` runs it alone; `npm test` runs it first and adds its count to the suites'.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const packages = ['protocol', 'client', 'relay', 'loadtest', 'cli']

const rules = [
  ['build: tsc -b', ['tsc', '-b']],
  ['types of the tests: tsc', ['tsc', '-p', 'tsconfig.tests.json']],
  ['lint and format: biome', ['biome', 'check', '--error-on-warnings', '.']],
  [
    'import walls: dependency-cruiser',
    ['depcruise', '--config', '.dependency-cruiser.cjs', ...packages.map((name) => `${name}/src`), 'bench/src', 'bench/failover'],
  ],
  ['dead code: knip', ['knip', '--no-progress']],
  ...packages.map((name) => [`package shape of ${name}: publint`, ['publint', name, '--strict']]),
  ['shipped workbooks equal their sources', ['node', 'scripts/workbooks.mjs', '--check']],
  ['generated protobuf code equals the .proto', ['node', 'scripts/generated.mjs']],
]

/** Runs every rule and prints the output of those that fail. Returns how many held and how many did not. */
export function check() {
  let passed = 0
  let failed = 0
  for (const [name, command] of rules) {
    const [program, ...args] = command
    const started = performance.now()
    const run = spawnSync(program === 'node' ? process.execPath : `${root}node_modules/.bin/${program}`, args, {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    })
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    if (run.status === 0) {
      passed += 1
      console.log(`ok      ${name} (${seconds} s)`)
    } else {
      failed += 1
      console.log(`FAILED  ${name} (${seconds} s)\n${run.stdout}${run.stderr}${run.error ?? ''}`)
    }
  }
  return { passed, failed }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed } = check()
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}
