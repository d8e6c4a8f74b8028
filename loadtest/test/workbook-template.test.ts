/** The workbook that `test new` writes: what a person sees in it, that it checks and plans as it is. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { readXlsx } from 'hucre/xlsx'
import { afterAll, describe, expect, it } from 'vitest'
import { runVirtual } from '../src/virtual/index.ts'
import { sheetColumns } from '../src/workbook/columns.ts'
import { encodeSheets, readSheets } from '../src/workbook/convert.ts'
import { checkWorkbook, checkWorkbookBytes } from '../src/workbook/index.ts'
import { newWorkbook, templateClientsMax } from '../src/workbook/template.ts'
import type { FullCell } from '../src/workbook/twin.ts'

const environment = { sennit: 'test', node: 'any', platform: 'simulated', cpus: 0, memoryBytes: 0 }

const dir = mkdtempSync(join(tmpdir(), 'sennit-template-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** A cell of an example as a row that counts has it. */
const uncommented = ([column, cell]: [number, FullCell]): [number, FullCell] =>
  column === 0 && typeof cell.value === 'string' ? [column, { ...cell, value: cell.value.replace(/^# /, '') }] : [column, cell]

describe('a new workbook', () => {
  it('has a help sheet, then every sheet with every column, each with a note, and lists where there is a choice', async () => {
    const book = await readXlsx(await newWorkbook({ clients: 4 }))
    expect(book.sheets.map(({ name }) => name)).toEqual(['# Help', ...Object.keys(sheetColumns)])
    for (const sheet of book.sheets.slice(1)) {
      const columns = sheetColumns[sheet.name as keyof typeof sheetColumns]
      expect(sheet.rows[0]?.filter((cell) => cell !== null)).toEqual([...columns])
      columns.forEach((_column, index) => {
        expect(sheet.cells?.get(`0,${index}`)?.comment?.text?.length ?? 0).toBeGreaterThan(3)
      })
      expect(sheet.freezePane).toMatchObject({ rows: 1 })
    }
    const faults = book.sheets.find(({ name }) => name === 'Faults')
    expect(faults?.dataValidations?.length).toBeGreaterThan(2)
  })

  it.each([2, 10])('of %i clients runs as it is, and its fault hits somebody', async (clients) => {
    const { plan, errors } = await checkWorkbookBytes(await newWorkbook({ clients }), 'new.xlsx')
    expect(errors ?? []).toEqual([])
    expect(plan?.clients).toHaveLength(clients)
    const { summary } = await runVirtual({ plan: plan!, environment })
    expect(summary).toMatchObject({ verdict: 'pass', exitCode: 0, clients: { attached: clients } })
    expect(summary.failovers[0]?.actualAtMs).toBe(12_000)
  })

  it('has examples that count, and run, when their # is taken away', async () => {
    const file = join(dir, 'new.xlsx')
    writeFileSync(file, await newWorkbook({ clients: 4 }))
    const sheets = (await readSheets(file)).map((sheet) => ({
      ...sheet,
      rows: sheet.name.startsWith('#')
        ? sheet.rows
        : new Map([...sheet.rows].map(([row, cells]) => [row, new Map([...cells].map(uncommented))])),
    }))
    const { plan, errors } = await checkWorkbookBytes(await encodeSheets(sheets, 'xlsx', file), file)
    expect(errors?.map(({ text }) => text) ?? []).toEqual([])
    expect(plan!.clients.map(({ client }) => client)).toContain('visitor-4.echo')
    expect([plan!.zones.length, plan!.relays.length, plan!.phases?.length, plan!.limits.length]).toEqual([2, 4, 1, 7])
    expect(plan!.acts.map(({ action }) => action)).toEqual(['kill', 'cert_expired'])
    const { reasons } = await runVirtual({ plan: plan!, environment })
    expect(reasons).toEqual([])
  })

  const office = 'soffice'
  const installed = spawnSync(office, ['--version']).status === 0
  it.skipIf(!installed)(
    'opens in LibreOffice and comes out of it with the same plan (soffice not installed: apt-get install libreoffice-calc)',
    { timeout: 120_000 },
    async () => {
      const [file, out] = [join(dir, 'office.xlsx'), join(dir, 'out')]
      writeFileSync(file, await newWorkbook({ clients: 4 }))
      const profile = `-env:UserInstallation=${pathToFileURL(join(dir, 'profile')).href}`
      const done = spawnSync(office, [profile, '--headless', '--convert-to', 'xlsx:Calc MS Excel 2007 XML', '--outdir', out, file], {
        timeout: 110_000,
      })
      expect(String(done.stderr)).not.toMatch(/error/i)
      const [before, after] = [await checkWorkbook(file), await checkWorkbook(join(out, 'office.xlsx'))]
      expect(after.errors?.map(({ text }) => text) ?? []).toEqual([])
      expect(after.plan).toEqual(before.plan)
    },
  )

  it.each([0, 3, 2.5, templateClientsMax + 2])('of %s clients is refused', async (clients) => {
    await expect(newWorkbook({ clients })).rejects.toMatchObject({ code: 'usage' })
  })
})
