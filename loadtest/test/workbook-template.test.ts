/** The workbook that `test new` writes: what a person sees in it, that it checks and plans as it is. */
import { readXlsx } from 'hucre/xlsx'
import { describe, expect, it } from 'vitest'
import { runVirtual } from '../src/virtual/index.ts'
import { sheetColumns } from '../src/workbook/columns.ts'
import { checkWorkbookBytes } from '../src/workbook/index.ts'
import { newWorkbook, templateClientsMax } from '../src/workbook/template.ts'

const environment = { sennit: 'test', node: 'any', platform: 'simulated', cpus: 0, memoryBytes: 0 }

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

  it.each([0, 3, 2.5, templateClientsMax + 2])('of %s clients is refused', async (clients) => {
    await expect(newWorkbook({ clients })).rejects.toMatchObject({ code: 'usage' })
  })
})
