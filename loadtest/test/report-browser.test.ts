/** The report in a real browser: nothing on the console, a name on every chart, a fault opens its fail-overs, dark and on paper. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { reportHtml } from '../src/verdict/report/html.ts'
import { Browser, chromium } from './fixtures/browser.ts'
import { fakeRun } from './fixtures/fake-run.ts'
import { planOf, smallDrill } from './fixtures/sheets.ts'

if (chromium === undefined)
  console.warn('the report is not looked at in a browser: expected chromium; found none (apt-get install chromium)')

const plan = planOf(
  smallDrill({
    Run: [
      ['key', 'value'],
      ['duration', '30s'],
      ['warmup', '2s'],
    ],
    Faults: [
      ['fault', 'when', 'duration', 'target', 'action'],
      ['F1', 'at(5s)', '4s', 'relay:r1', 'kill'],
      ['F2', 'at(18s)', '4s', 'relay:r2', 'pause'],
    ],
    Limits: [
      ['limit', 'metric', 'stat', 'op', 'value'],
      ['fast', 'stall', 'p(99)', '<=', '50ms'],
    ],
  }),
)

/** With `SENNIT_SCREENSHOTS=dir` they are kept. */
const pictures = process.env.SENNIT_SCREENSHOTS

describe.skipIf(chromium === undefined)('report.html in a browser', { timeout: 60_000 }, () => {
  let folder: string
  let browser: Browser
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sennit-page-'))
    const page = join(folder, 'report.html')
    writeFileSync(page, reportHtml(fakeRun({ plan })))
    browser = await Browser.open(chromium!)
    await browser.goto(pathToFileURL(page).href)
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  }, 30_000)

  const shown = (selector: string): Promise<boolean[]> =>
    browser.evaluate(`[...document.querySelectorAll('${selector}')].map((one) => one.getClientRects().length > 0)`)
  const picture = async (name: string): Promise<Buffer> => {
    const { data } = await browser.call('Page.captureScreenshot', { format: 'png' })
    const bytes = Buffer.from(data as string, 'base64')
    if (pictures !== undefined) {
      mkdirSync(pictures, { recursive: true })
      writeFileSync(join(pictures, `${name}.png`), bytes)
    }
    return bytes
  }

  it('gives every chart, table and section a name', async () => {
    const { nodes } = (await browser.call('Accessibility.getFullAXTree')) as {
      nodes: { ignored: boolean; role?: { value: string }; name?: { value: string } }[]
    }
    const named = (role: RegExp): string[] =>
      nodes.filter((node) => !node.ignored && role.test(node.role?.value ?? '')).map((node) => node.name?.value ?? '')
    const charts = await browser.evaluate<number>(`document.querySelectorAll('svg').length`)
    expect(charts).toBe(5)
    for (const title of [
      'Messages per second',
      'Response time, from the intended send time',
      'Stall of the connections that each fault hit',
    ])
      expect(named(/^(img|image|group)$/)).toContain(title)
    for (const role of [/^(img|image)$/, /^table$/, /^region$/, /^link$/, /^heading$/]) {
      expect(named(role).length, String(role)).toBeGreaterThan(0)
      expect(named(role), String(role)).not.toContain('')
    }
    expect(named(/^link$/)).toContain('F1 kill r1: show its fail-overs')
    expect(named(/^graphics-/).filter((name) => name.includes('delivered:'))).toEqual([])
  })

  it('opens the fail-overs of a fault that is clicked in a chart, and only those', async () => {
    expect(await shown('.act')).toEqual([false, false])
    const [x, y] = await browser.evaluate<[number, number]>(`(() => {
      const shades = document.querySelectorAll('figure:first-of-type svg .shade rect')
      const box = shades[1].getBoundingClientRect()
      return [box.x + box.width / 2, box.y + box.height / 2]
    })()`)
    await browser.click(x, y)
    expect(await browser.evaluate(`location.hash`)).toBe('#act-1')
    expect(await shown('.act')).toEqual([false, true])
    expect(await browser.evaluate(`document.querySelector('.act:target').innerText`)).toMatch(/F2 pause r2[\s\S]*c-?3[\s\S]*c-?4/)
    expect((await picture('fault')).length).toBeGreaterThan(10_000)
  })

  it('has its own colours in the dark, with text that stands out', async () => {
    const colours = `[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]`
    const brightness = (colour: string): number =>
      colour
        .match(/\d+/g)!
        .slice(0, 3)
        .reduce((sum, part) => sum + Number(part), 0) / 3
    for (const [value, light] of [
      ['light', true],
      ['dark', false],
    ] as const) {
      await browser.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] })
      const [paper, ink] = await browser.evaluate<[string, string]>(colours)
      expect(brightness(paper) > brightness(ink)).toBe(light)
      expect(Math.abs(brightness(paper) - brightness(ink))).toBeGreaterThan(150)
      await picture(value)
    }
  })

  it('shows on paper what is folded on a screen', async () => {
    await browser.call('Emulation.setEmulatedMedia', { media: 'print', features: [{ name: 'prefers-color-scheme', value: 'dark' }] })
    expect(await shown('.act')).toEqual([true, true])
    expect((await shown('details table')).every((one) => one)).toBe(true)
    expect(await browser.evaluate(`getComputedStyle(document.body).backgroundColor`)).toBe('rgb(255, 255, 255)')
    const { data } = await browser.call('Page.printToPDF', { printBackground: true })
    expect(
      Buffer.from(data as string, 'base64')
        .subarray(0, 5)
        .toString(),
    ).toBe('%PDF-')
    await browser.call('Emulation.setEmulatedMedia', { media: '', features: [] })
  })

  it('fits a telephone: nothing but tables scrolls sideways', async () => {
    await browser.call('Emulation.setDeviceMetricsOverride', { width: 390, height: 800, deviceScaleFactor: 2, mobile: true })
    expect(await browser.evaluate<number>(`document.documentElement.scrollWidth`)).toBeLessThanOrEqual(390)
    await picture('telephone')
    await browser.call('Emulation.clearDeviceMetricsOverride')
  })

  it('left nothing on the console', () => {
    expect(browser.complaints).toEqual([])
  })
})
