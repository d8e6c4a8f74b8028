/**
 * The numbered workbooks of scenarios/, as much of each as is cheap: they pass in the simulated world, and what each proves breaks it when taken away.
 * `npm run scenarios` runs all of them, whole.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { firstSeconds, scenarios } from '../../scripts/scenario-table.mjs'
import type { Plan } from '../src/plan.ts'
import { runVirtual } from '../src/virtual/index.ts'
import { checkWorkbook } from '../src/workbook/index.ts'
import { environment } from './fixtures/fake-run.ts'

const folder = fileURLToPath(new URL('../../scenarios/', import.meta.url))

async function planOf(name: string, scale = 1): Promise<Plan> {
  const { plan, errors } = await checkWorkbook(`${folder}${name}.xlsx`, { scale })
  expect(errors).toBeUndefined()
  return plan!
}

describe('the shipped workbooks', { timeout: 60_000 }, () => {
  it('are all in the table, each with a page that has every part', () => {
    const numbered = readdirSync(folder).filter((file) => /^\d\d-.*\.xlsx$/.test(file))
    expect(scenarios.map(({ name }) => `${name}.xlsx`)).toEqual(numbered.sort())
    for (const { name } of scenarios) {
      expect(existsSync(`${folder}${name}.md`), `scenarios/${name}.md`).toBe(true)
      const page = readFileSync(`${folder}${name}.md`, 'utf8')
      for (const part of ['What it proves', 'How to read it', 'What to change']) expect(page, name).toContain(`## ${part}`)
    }
  })

  it.each(scenarios.flatMap(({ name, testScale }) => (testScale === undefined ? [] : [{ name, scale: testScale }])))(
    '$name passes at scale $scale',
    async ({ name, scale }) => {
      const { summary, reasons } = await runVirtual({ plan: await planOf(name, scale), environment })
      expect({ reasons, exitCode: summary.exitCode }).toEqual({ reasons: [], exitCode: 0 })
    },
  )

  // The cheap ones; the others are of the same kind.
  it.each(['01-smoke', '04-relay-kill-rotation', '06-geo-baseline'])('%s fails without what it proves', async (name) => {
    const { without } = scenarios.find((one) => one.name === name)!
    const plan = without.change(firstSeconds(await planOf(name, without.scale), without.seconds))
    const { summary } = await runVirtual({ plan, environment })
    expect(summary.limits.filter(({ held }) => held === false).map(({ limit }) => limit)).toContain(without.breaks)
  })
})
