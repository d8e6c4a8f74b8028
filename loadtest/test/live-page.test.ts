/** The live page and its server: who may do what, the stream, the scrape, and the page itself in a real browser. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type LivePage, openLivePage } from '../src/live-page/live-server.ts'
import type { RunControls } from '../src/run-controls.ts'
import type { RunResult, RunStatus } from '../src/verdict/index.ts'
import { Browser, chromium } from './fixtures/browser.ts'
import { fakeRun } from './fixtures/fake-run.ts'
import { planOf, smallDrill } from './fixtures/sheets.ts'

if (chromium === undefined)
  console.warn('the live page is not looked at in a browser: expected chromium; found none (apt-get install chromium)')

const plan = planOf(
  smallDrill({
    Faults: [
      ['fault', 'when', 'duration', 'target', 'action'],
      ['F1', 'at(2s)', '1s', 'relay:r1', 'kill'],
      ['F-2-', 'never', '2s', 'busiest(relay:*)', 'pause'],
    ],
    Limits: [
      ['limit', 'metric', 'stat', 'op', 'value'],
      ['fast', 'response_time', 'max', '<=', '10ms'],
      ['opened', 'connections_opened', '', '>=', 50],
    ],
  }),
)
const statuses: RunStatus[] = []
const result: RunResult = fakeRun({ plan, onStatus: (status) => statuses.push(status) })

/** Takes down what was done. */
class Notes implements RunControls {
  readonly drills = plan.drills ?? []
  rampPaused = false
  readonly done: string[] = []
  pauseRamp(): void {
    this.rampPaused = true
    this.done.push('pause')
  }
  resumeRamp(): void {
    this.rampPaused = false
    this.done.push('resume')
  }
  inject(fault: string): void {
    if (!this.drills.some((drill) => drill.fault === fault)) throw new Error(`no fault ${fault}`)
    this.done.push(`inject ${fault}`)
  }
  stop(): void {
    this.done.push('stop')
  }
}

let page: LivePage
let notes: Notes
async function open(): Promise<void> {
  page = await openLivePage({ plan, port: 0 })
  notes = new Notes()
  page.control(notes)
}

describe('the server of the live page', () => {
  beforeEach(open)
  afterEach(() => page.close())

  const post = (body: string, headers: Record<string, string> = { 'content-type': 'application/json' }): Promise<Response> =>
    fetch(`${page.url}act`, { method: 'POST', body, headers })

  it('does what a page with the token asks for by POST', async () => {
    for (const body of ['{"do":"pause"}', '{"do":"resume"}', '{"do":"inject","fault":"F1"}', '{"do":"stop"}'])
      expect((await post(body)).status).toBe(200)
    expect(notes.done).toEqual(['pause', 'resume', 'inject F1', 'stop'])
  })

  it.each<[string, number, () => Promise<Response>]>([
    [
      'a wrong token',
      404,
      () =>
        fetch(page.url.replace(/[^/]+\/$/, `${'x'.repeat(32)}/act`), {
          method: 'POST',
          body: '{"do":"stop"}',
          headers: { 'content-type': 'application/json' },
        }),
    ],
    ['no token', 404, () => fetch(new URL('/', page.url))],
    ['an act by GET', 405, () => fetch(`${page.url}act`)],
    ['an act by GET with words in the address', 405, () => fetch(`${page.url}act?do=stop`)],
    ['a POST to what is only read', 405, () => fetch(`${page.url}status`, { method: 'POST', body: '{"do":"stop"}' })],
    ['a POST to the scrape', 405, () => fetch(page.metricsUrl, { method: 'POST', body: '' })],
    ['a form of another site', 415, () => post('do=stop', { 'content-type': 'application/x-www-form-urlencoded' })],
    ['plain text of another site', 415, () => post('{"do":"stop"}', { 'content-type': 'text/plain' })],
    ['another origin', 403, () => post('{"do":"stop"}', { 'content-type': 'application/json', origin: 'http://evil.example' })],
    ['a page of nowhere', 403, () => post('{"do":"stop"}', { 'content-type': 'application/json', origin: 'null' })],
    ['no JSON', 400, () => post('{')],
    ['another act', 400, () => post('{"do":"explode"}')],
    ['a fault without its name', 400, () => post('{"do":"inject"}')],
    ['null', 400, () => post('null')],
    ['a fault that there is not', 409, () => post('{"do":"inject","fault":"F9"}')],
    ['too much', 413, () => post(`{"do":"stop","more":"${'x'.repeat(2_000)}"}`)],
  ])('refuses %s', async (_what, status, ask) => {
    expect((await ask()).status).toBe(status)
    expect(notes.done).toEqual([])
  })

  it('refuses a name that somebody else made point here', async () => {
    const status = await new Promise<number | undefined>((done, fail) => {
      const { hostname, port, pathname } = new URL(page.url)
      request({ hostname, port, path: `${pathname}status`, headers: { host: `evil.example:${port}` } }, (response) => {
        response.resume()
        done(response.statusCode)
      })
        .on('error', fail)
        .end()
    })
    expect(status).toBe(403)
  })

  it('gives the latest status, and the scrape, from the same snapshot', async () => {
    expect(await (await fetch(`${page.url}status`)).json()).toBeNull()
    expect(await (await fetch(page.metricsUrl)).text()).toMatch(/^sennit_test_running\{name="test"\} 0$/m)
    page.show(statuses[3]!)
    expect(await (await fetch(`${page.url}status`)).json()).toEqual(statuses[3])
    const text = await (await fetch(page.metricsUrl)).text()
    for (const line of [
      'sennit_test_running{name="test"} 1',
      'sennit_test_clients{name="test",state="attached"} 6',
      'sennit_test_connections{name="test",state="opened"} 3',
      `sennit_test_bytes{name="test",state="sent"} ${statuses[3]!.sentBytes}`,
      'sennit_test_bytes{name="test",state="lost"} 0',
      'sennit_test_relay_up{name="test",relay="r1"} 1',
      'sennit_test_limit_held{name="test",limit="fast",severity="fail"} 0',
      'sennit_test_messages_per_second{name="test"} 660',
    ])
      expect(text.split('\n')).toContain(line)
    expect(text).not.toMatch(/limit_held.*opened/)
    expect(text).toMatch(/latency_seconds\{name="test",kind="response",quantile="0.99"\} 0\.0/)
  })

  it('streams each status, and the end', async () => {
    page.show(statuses[0]!)
    const reader = (await fetch(`${page.url}events`)).body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    const until = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(text)) text += (await reader.read()).value ?? ''
    }
    await until(/event: begin\n[\s\S]*"nowMs":1000/)
    page.show(statuses[1]!)
    await until(/"nowMs":2000/)
    page.over(result.summary, result.reasons)
    await until(/event: over\ndata: \{"verdict":"fail","exitCode":99/)
    expect((await post('{"do":"stop"}')).status).toBe(409)
    await reader.cancel()
  })

  it('lets no more than sixteen look', async () => {
    const all = await Promise.all(Array.from({ length: 17 }, () => fetch(`${page.url}events`)))
    expect(all.map(({ status }) => status).filter((status) => status === 503)).toHaveLength(1)
    await Promise.all(all.map(({ body }) => body?.cancel()))
  })

  it('says which port is in use', async () => {
    await expect(openLivePage({ plan, port: Number(new URL(page.url).port) })).rejects.toThrow(
      /expected port \d+ of 127\.0\.0\.1 to be free; it is in use/,
    )
  })
})

/** With `SENNIT_SCREENSHOTS=dir` they are kept. */
const pictures = process.env.SENNIT_SCREENSHOTS

describe.skipIf(chromium === undefined)('the live page in a browser', { timeout: 60_000 }, () => {
  let browser: Browser
  beforeAll(async () => {
    await open()
    for (const status of statuses.slice(0, 8)) page.show(status)
    browser = await Browser.open(chromium!)
    await browser.goto(page.url)
    await says('#stage', '8 s of 14 s')
  }, 60_000)
  afterAll(async () => {
    await browser.close()
    await page.close()
  })

  /** Resolves when the element says so. */
  async function says(selector: string, words: string): Promise<void> {
    await browser.evaluate(`new Promise((done, fail) => {
      const look = () => document.querySelector(${JSON.stringify(selector)})?.innerText.includes(${JSON.stringify(words)}) ? done(true) : undefined
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true, attributes: true })
      setTimeout(() => fail(new Error(document.body.innerText)), 10000)
      look()
    })`)
  }
  const press = (text: string): Promise<void> =>
    browser.evaluate(`[...document.querySelectorAll('button')].find((one) => one.innerText.includes(${JSON.stringify(text)})).click()`)
  const picture = async (name: string): Promise<void> => {
    const { data } = await browser.call('Page.captureScreenshot', { format: 'png' })
    const bytes = Buffer.from(data as string, 'base64')
    expect(bytes.length).toBeGreaterThan(10_000)
    if (pictures === undefined) return
    mkdirSync(pictures, { recursive: true })
    writeFileSync(join(pictures, `live-${name}.png`), bytes)
  }

  it('shows what is, with a name on everything', async () => {
    const text = await browser.evaluate<string>('document.body.innerText')
    for (const words of [
      /6\s+of 6 clients/,
      /660/,
      /nothing lost/,
      /r2\s+up/,
      /BROKEN|broken/i,
      /response_time max <= 10 ms/,
      /F1: kill relay:r1/,
      /F-2-: pause busiest/,
    ])
      expect(text).toMatch(words)
    const { nodes } = (await browser.call('Accessibility.getFullAXTree')) as {
      nodes: { ignored: boolean; role?: { value: string }; name?: { value: string } }[]
    }
    const named = (role: RegExp): string[] =>
      nodes.filter((node) => !node.ignored && role.test(node.role?.value ?? '')).map((node) => node.name?.value ?? '')
    for (const role of [/^(img|image)$/, /^table$/, /^region$/, /^button$/, /^heading$/, /^progress/i]) {
      expect(named(role).length, String(role)).toBeGreaterThan(0)
      expect(named(role), String(role)).not.toContain('')
    }
  })

  it('follows the run', async () => {
    page.show(statuses[9]!)
    await says('#stage', '10 s of 14 s')
  })

  it('does what its buttons say, and tells that it was done', async () => {
    await press('Pause the ramp')
    await says('#said', 'the ramp is paused')
    page.show({ ...statuses[10]!, rampPaused: true })
    await says('#ramp', 'Go on with the ramp')
    await press('F-2-: pause')
    await says('#said', 'F-2- begins')
    await press('Stop the run')
    await says('#stop', 'Really stop?')
    expect(notes.done).toEqual(['pause', 'inject F-2-'])
    await press('Really stop?')
    await says('#said', 'the run stops')
    expect(notes.done).toEqual(['pause', 'inject F-2-', 'stop'])
  })

  it('has its own colours in the dark, and fits a telephone', async () => {
    for (const value of ['light', 'dark']) {
      await browser.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] })
      const [paper, ink] = await browser.evaluate<[string, string]>(
        `['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name])`,
      )
      const sum = (colour: string): number =>
        colour
          .match(/\d+/g)!
          .slice(0, 3)
          .reduce((total, part) => total + Number(part), 0)
      expect(sum(paper) > sum(ink)).toBe(value === 'light')
      await picture(value)
    }
    await browser.call('Emulation.setDeviceMetricsOverride', { width: 390, height: 800, deviceScaleFactor: 2, mobile: true })
    expect(await browser.evaluate<number>(`document.documentElement.scrollWidth`)).toBeLessThanOrEqual(390)
    await browser.call('Emulation.clearDeviceMetricsOverride')
  })

  it('says how it ended, and left nothing on the console', async () => {
    page.over(result.summary, result.reasons)
    await says('#over', 'exit code 99')
    expect(await browser.evaluate(`[...document.querySelectorAll('button')].every((one) => one.disabled)`)).toBe(true)
    expect(browser.complaints).toEqual([])
  })
})
