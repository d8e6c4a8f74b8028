// `npm run simulate:bugs [-- --seeds N] [--from S] [--json]`: plants each bug of scripts/planted in turn and plays seeds until the simulator finds it.
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { bugs } from './planted/bugs.mjs'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '400' },
    from: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const results = []
const waiting = [...bugs]
await Promise.all(
  Array.from({ length: Math.min(availableParallelism(), waiting.length) }, async () => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const result = await play(bug)
      results.push(result)
      if (!values.json) console.log(text(result))
    }
  }),
)
const missed = results.filter((result) => !result.found)
if (values.json) console.log(JSON.stringify({ bugs: results.sort((a, b) => a.name.localeCompare(b.name)) }))
else console.log(`${results.length - missed.length} of ${results.length} planted bugs found`)
process.exitCode = missed.length === 0 ? 0 : 1

function play(bug) {
  return new Promise((resolve) => {
    const script = fileURLToPath(new URL('planted/play-bug.mjs', import.meta.url))
    const child = spawn(process.execPath, [script, bug.name, values.seeds, values.from], { stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      stderr += chunk
    })
    child.on('close', () => {
      try {
        resolve(JSON.parse(stdout))
      } catch {
        resolve({ name: bug.name, found: false, seeds: 0, message: stderr.slice(-2_000) })
      }
    })
  })
}

function text({ name, found, seeds, property, message }) {
  if (found) return `found after ${seeds} seed${seeds === 1 ? '' : 's'}: ${name} (${property}: ${message})`
  return `NOT FOUND in ${seeds} seeds: ${name}${message === undefined ? '' : `\n${message}`}`
}
