import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

interface Found {
  readonly name: string
  readonly found: boolean
  readonly seeds: number
  readonly message?: string
}

const script = fileURLToPath(new URL('../../../scripts/simulate-bugs.mjs', import.meta.url))

// It plays the built program, since a bug is planted in one file of it; a busy machine takes minutes for what else takes seconds.
describe('ten bugs planted by hand', { timeout: 540_000 }, () => {
  it('are found by the simulator, each within some seeds', async () => {
    const output = await new Promise<string>((resolve) => {
      execFile(process.execPath, [script, '--json'], (_error, stdout) => resolve(stdout))
    })
    const { bugs } = JSON.parse(output) as { bugs: Found[] }
    console.log(bugs.map(({ name, seeds }) => `${name}: ${seeds}`).join('\n'))
    expect(bugs).toHaveLength(10)
    expect(bugs.filter((bug) => !bug.found)).toEqual([])
  })
})
