// `npm run tools`: real servers and peers that tests and benchmarks use, by the ordinary package clients, into a cache outside the tree.
// One folder a tool, `tools/NAME/tool.mjs`; without a name it lists them. What is missing is never an error of a test: it skips with a line.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * @typedef {object} Step
 * @property {readonly string[]} command program and arguments
 * @property {string} [cwd] @default the folder of the tool in the tree
 * @property {Readonly<Record<string, string>>} [env] beside the environment
 *
 * @typedef {object} Tool
 * @property {string} what one line: which program, which version, what for
 * @property {string} takes how long it takes cold, and how much room
 * @property {readonly string[]} programs files that must lie in `into` afterwards (or on the PATH instead)
 * @property {readonly { program: string, how: string }[]} needs programs that build it, and how to get them
 * @property {readonly string[]} [sources] files beside tool.mjs that decide what is built: a change builds anew
 * @property {(where: { here: string, into: string }) => readonly Step[]} steps what to run, in order
 */

const toolsFolder = fileURLToPath(new URL('../tools/', import.meta.url))

/** Where tools are put: `SENNIT_TOOLS_DIR`, else a folder of the user's cache. */
export function cacheFolder() {
  return process.env.SENNIT_TOOLS_DIR ?? join(homedir(), '.cache', 'sennit-tools')
}

/** The path of `program` of tool `name`: on the PATH, or in the cache; undefined when it is in neither. */
export function findTool(name, program = name) {
  const cached = join(cacheFolder(), name, program)
  if (existsSync(cached)) return cached
  for (const folder of [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin']) {
    const found = join(folder, basename(program))
    if (folder !== '' && existsSync(found)) return found
  }
  return undefined
}

/** @returns {Promise<Map<string, Tool>>} every tool of the tree by name */
async function allTools() {
  const tools = new Map()
  for (const name of readdirSync(toolsFolder).sort()) {
    const file = join(toolsFolder, name, 'tool.mjs')
    if (existsSync(file)) tools.set(name, (await import(file)).default)
  }
  return tools
}

/** Builds one tool unless it is there. Returns undefined when it is there afterwards, else one line that says why not. */
async function install(name, tool, deadlineMs) {
  const stamp = stampOf(name, tool)
  const final = join(cacheFolder(), name)
  if (tool.programs.every((program) => findTool(name, program) !== undefined) && !isStale(final, stamp)) return undefined
  for (const { program, how } of tool.needs)
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return `needs ${program}: ${how}`
  // Built beside and renamed: whoever looks meanwhile sees all of it or nothing.
  const into = `${final}.${process.pid}.new`
  rmSync(into, { recursive: true, force: true })
  mkdirSync(into, { recursive: true })
  try {
    const here = join(toolsFolder, name)
    for (const { command, cwd = here, env = {} } of tool.steps({ here, into })) {
      const why = await run(command, cwd, env, deadlineMs)
      if (why !== undefined) return `${command.slice(0, 2).join(' ')}: ${why}`
    }
    const absent = tool.programs.filter((program) => !existsSync(join(into, program)))
    if (absent.length > 0) return `the build ended without ${absent.join(', ')}`
    writeFileSync(join(into, '.stamp'), stamp)
    rmSync(final, { recursive: true, force: true })
    renameSync(into, final)
    return undefined
  } finally {
    rmSync(into, { recursive: true, force: true })
  }
}

function stampOf(name, tool) {
  const hash = createHash('sha256')
  for (const source of ['tool.mjs', ...(tool.sources ?? [])]) hash.update(readFileSync(join(toolsFolder, name, source)))
  return hash.digest('hex')
}

/** Built from other sources than those in the tree. What has no stamp was put there by hand, and is left alone. */
function isStale(folder, stamp) {
  const file = join(folder, '.stamp')
  return existsSync(file) && readFileSync(file, 'utf8') !== stamp
}

/** Runs a step in a process group of its own, so that a build that is out of time ends with everything it started. */
function run([program, ...args], cwd, env, deadlineMs) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'], detached: true })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = `${said}${text}`.slice(-2_000)
    })
    const end = () => {
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It ended just now.
      }
    }
    let late = false
    const timer = setTimeout(
      () => {
        late = true
        end()
      },
      Math.max(0, Math.min(2 ** 31 - 1, deadlineMs - Date.now())),
    )
    for (const signal of ['SIGINT', 'SIGTERM'])
      process.once(signal, () => {
        end()
        process.exit(130)
      })
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve(code === 0 ? undefined : late ? 'out of time' : `exit code ${code}: ${said.trim().split('\n').at(-1)}`)
    })
  })
}

async function main(words) {
  const within = words.find((word) => word.startsWith('--within='))
  const minutes = within === undefined ? Number.POSITIVE_INFINITY : Number(within.slice('--within='.length))
  const names = words.filter((word) => !word.startsWith('--'))
  const tools = await allTools()
  const unknown = names.filter((name) => !tools.has(name))
  if (unknown.length > 0 || !(minutes > 0)) {
    console.error(
      `usage: npm run tools -- [--within=MINUTES] [NAME …]\nexpected names of ${[...tools.keys()].join(', ')}; found ${words.join(' ')}`,
    )
    return 2
  }
  if (names.length === 0) {
    for (const [name, tool] of tools) {
      const there = tool.programs.every((program) => findTool(name, program) !== undefined)
      console.log(`${there ? 'there  ' : 'missing'}  ${name.padEnd(16)} ${tool.what}; ${tool.takes}`)
    }
    console.log(`\nnpm run tools -- NAME … puts them into ${cacheFolder()}`)
    return 0
  }
  const deadlineMs = Date.now() + minutes * 60_000
  let missing = 0
  for (const name of names) {
    const started = performance.now()
    const why = await install(name, tools.get(name), deadlineMs)
    if (why !== undefined) missing += 1
    const seconds = ((performance.now() - started) / 1_000).toFixed(0)
    console.log(why === undefined ? `there    ${name} (${seconds} s)` : `missing  ${name} (${seconds} s): ${why}`)
  }
  return missing === 0 ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2))
