/** What a run leaves for programs: a build server's XML, a table of seconds, figures for a scrape. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as xlsx from 'xlsx'
import { timelineCsv } from '../src/verdict/report/csv.ts'
import { junitXml } from '../src/verdict/report/junit.ts'
import { prometheusText } from '../src/verdict/report/prometheus.ts'
import type { RunResult } from '../src/verdict/run-result.ts'
import { writeReports } from '../src/verdict/write-reports.ts'
import { fakeRun } from './fixtures/fake-run.ts'
import { errorsOf, planOf, type Sheets, smallDrill } from './fixtures/sheets.ts'

const drill = (report = 'html,xlsx,json'): Sheets =>
  smallDrill({
    Run: [
      ['key', 'value'],
      ['duration', '14s'],
      ['warmup', '1s'],
      ['report', report],
    ],
    Limits: [
      ['limit', 'metric', 'stat', 'op', 'value', 'window', 'severity'],
      ['fast', 'response_time', 'p(50)', '<=', '10ms', '', ''],
      ['tight', 'response_time', 'max', '<=', '1ms', '', ''],
      ['warned', 'response_time', 'max', '<=', '1ms', '', 'warn'],
      ['rare', 'failover_connections', 'max', '>=', '9', '', 'sometimes'],
      ['dark', 'response_time', 'max', '<=', '1s', 'after:F1+11s', ''],
    ],
  })
const plain = fakeRun({ plan: planOf(drill()) })
/** With a name that no format takes as it is. */
const nasty = 'too "tight" & <good>'
const result: RunResult = {
  ...plain,
  summary: { ...plain.summary, limits: plain.summary.limits.map((one) => (one.limit === 'tight' ? { ...one, limit: nasty } : one)) },
}

describe('junit.xml', () => {
  const page = junitXml(result)
  const cases = [...page.matchAll(/<testcase classname="([^"]*)" name="([^"]*)"(?:\/>|><(\w+) message="([^"]*)"\/><\/testcase>)/g)]
  const outcomeOf = (name: string): string => cases.find((one) => one[2] === name)?.[3] ?? 'ok'

  it('has a case for each limit, damage, fault and the verdict, and counts what its cases say', () => {
    expect(cases).toHaveLength(page.split('<testcase ').length - 1)
    expect(cases.map((one) => one[1])).toEqual(
      expect.arrayContaining([
        `${result.summary.name}.integrity`,
        `${result.summary.name}.faults`,
        `${result.summary.name}.limits`,
        `${result.summary.name}.run`,
      ]),
    )
    const count = (kind: string): number => cases.filter((one) => one[3] === kind).length
    expect(page).toContain(
      `tests="${cases.length}" failures="${count('failure')}" errors="${count('error')}" skipped="${count('skipped')}" time="14.200"`,
    )
  })

  it('calls broken a failure, unmeasured an error, a warning skipped', () => {
    expect(outcomeOf('fast')).toBe('ok')
    expect(outcomeOf('too &quot;tight&quot; &amp; &lt;good&gt;')).toBe('failure')
    expect(outcomeOf('warned')).toBe('skipped')
    expect(outcomeOf('rare')).toBe('error')
    expect(outcomeOf('dark')).toBe('error')
    expect(outcomeOf('lost')).toBe('ok')
    expect(outcomeOf('F1 kill r1 at 2s')).toBe('ok')
    expect(outcomeOf('verdict')).toBe('failure')
  })

  it('is red whenever the verdict is not pass, and writes nothing that XML cannot hold', () => {
    const broken = fakeRun({
      plan: planOf(drill()),
      interrupted: true,
      before: (recorder) => recorder.faultReceipt(0, '\u0000\u001b[31m <]]> \ud800 "'),
    })
    const odd = junitXml({ ...broken, reasons: ['a\u0000b\ud800c\nd'] })
    expect(odd).toMatch(/name="verdict"><failure/)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(odd).not.toMatch(/[\u0000-\u0008\u000b-\u001f]/)
    expect(odd).not.toMatch(/\p{Surrogate}/u)
    expect(junitXml(fakeRun({ plan: planOf({ ...drill(), Limits: [['limit']] }) }))).not.toMatch(/<failure|<error/)
  })
})

describe('timeline.csv', () => {
  it('holds every second as the result has it, quoted where a comma is', () => {
    const book = xlsx.read(timelineCsv(result), { type: 'string', raw: true })
    const rows = xlsx.utils.sheet_to_json<Record<string, string>>(book.Sheets[book.SheetNames[0]!]!)
    expect(rows).toHaveLength(result.timeline.length)
    expect(rows.reduce((sum, row) => sum + Number(row.messages), 0)).toBe(result.summary.integrity.messages)
    expect(rows[2]).toMatchObject({ second: '2', faults: 'F1 kill r1' })
    const quoted = timelineCsv({ ...result, timeline: [{ ...result.timeline[0]!, faults: '=1+1, "x"' }] })
    expect(quoted.split('\r\n')[1]).toMatch(/,"'=1\+1, ""x"""$/)
  })
})

describe('metrics.prom', () => {
  const text = prometheusText(result)

  it('is well formed: every sample under its type, no label twice, numbers only', () => {
    const sample = /^(sennit_test_[a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\} (-?\d+(?:\.\d+)?(?:e[+-]\d+)?)$/
    let typed = ''
    const seen = new Set<string>()
    for (const line of text.trimEnd().split('\n')) {
      if (line.startsWith('# TYPE ')) {
        typed = line.split(' ')[2]!
        expect(seen.has(typed)).toBe(false)
        seen.add(typed)
      } else if (!line.startsWith('# HELP ')) {
        expect(line).toMatch(sample)
        const [, name, labels] = sample.exec(line)!
        expect(name).toBe(typed)
        expect(seen.has(`${name}{${labels}}`)).toBe(false)
        seen.add(`${name}{${labels}}`)
      }
    }
    expect(seen.size).toBeGreaterThan(60)
  })

  it('says seconds for milliseconds, and leaves out what was not measured', () => {
    expect(text).toContain(`sennit_test_latency_seconds{name="test",kind="response",quantile="0.5"} 0.002`)
    expect(text).toContain('sennit_test_bytes{name="test",state="lost"} 0')
    expect(text).toContain('sennit_test_limit_held{name="test",limit="too \\"tight\\" & <good>",severity="fail"} 0')
    expect(text).not.toMatch(/limit="dark"/)
    expect(text).toContain('sennit_test_connections{name="test",state="never_recovered"} 0')
  })
})

describe('which reports', () => {
  it.each([
    [
      'the sheet says',
      drill('junit, CSV,prometheus'),
      undefined,
      ['junit.xml', 'metrics.prom', 'plan.json.gz', 'summary.json', 'timeline.csv'],
    ],
    [
      'the caller says, over the sheet',
      drill('csv'),
      ['html', 'xlsx'] as const,
      ['plan.json.gz', 'report.html', 'summary.json', 'test.result.xlsx'],
    ],
  ])('are written: as %s', async (_why, sheets, reports, files) => {
    const folder = mkdtempSync(join(tmpdir(), 'sennit-reports-'))
    try {
      const written = await writeReports({ result: fakeRun({ plan: planOf(sheets) }), outDir: folder, ...(reports ? { reports } : {}) })
      expect(readdirSync(folder).sort()).toEqual(files)
      expect(Object.values(written).sort()).toEqual(files.map((file) => join(folder, file)))
      expect(JSON.parse(readFileSync(written.summary, 'utf8')).exitCode).toBeTypeOf('number')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('that do not exist are named, with the nearest', () => {
    expect(errorsOf(drill('html,junlt'))).toEqual([
      'Run!B4 report: expected words of html, xlsx, json, csv, junit, prometheus; found "junlt". Nearest: junit [W112]',
    ])
  })
})
