// What is shipped to run relays is checked with the tools that would read it: systemd, Prometheus, Kubernetes' own schemas. A tool that is not here
// leaves its test out, and a line says how to get it.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { relayMetrics } from '../../relay/src/node/metrics.ts'
import { findTool } from '../../scripts/tools.mjs'

const folder = fileURLToPath(new URL('..', import.meta.url))
const text = (name: string): string => readFileSync(`${folder}${name}`, 'utf8')

function program(tool: string, file: string, how: string): { readonly path: string | undefined } {
  const path = findTool(tool, file)
  if (path === undefined) console.log(`left out: checks of deploy/ with ${tool}; ${how}`)
  return { path }
}

function run(path: string, args: readonly string[]): string {
  const done = spawnSync(path, args, { cwd: folder, encoding: 'utf8', timeout: 60_000 })
  expect(done.status, `${args.join(' ')}\n${done.stdout}${done.stderr}`).toBe(0)
  return done.stdout + done.stderr
}

const systemd = program('systemd-analyze', 'systemd-analyze', 'apt-get install systemd')
const promtool = program('promtool', 'promtool', 'npm run tools -- promtool')
const kubernetes = program('kubernetes-validate', 'bin/kubernetes-validate', 'npm run tools -- kubernetes-validate')

describe('systemd', () => {
  const unit = 'systemd/sennit-relay@.service'

  it.skipIf(systemd.path === undefined)('takes the unit without a warning', () => {
    expect(run(systemd.path!, ['verify', '--man=no', unit])).toBe('')
  })

  it.skipIf(systemd.path === undefined)('finds little exposed', () => {
    const found = run(systemd.path!, ['security', '--offline=true', unit])
    expect(Number(/exposure level for .*: ([\d.]+)/.exec(found)?.[1])).toBeLessThanOrEqual(2)
  })
})

describe('Prometheus', () => {
  it.skipIf(promtool.path === undefined).each([
    ['scrape configuration', ['check', 'config', 'prometheus/scrape.yml']],
    ['alerts', ['check', 'rules', 'prometheus/alerts.yml']],
    ['alerts when relays die and strangers knock', ['test', 'rules', 'prometheus/alerts.test.yml']],
  ])('%s', (_name, args) => {
    run(promtool.path!, args)
  })

  it('is asked only for metrics that a relay has', async () => {
    const counts = { attachments: {}, refusals: {}, closes: {}, answers: {} }
    const stats = new Proxy(counts, { get: (target, name) => Reflect.get(target, name) ?? 0 })
    const exposed = await relayMetrics('r1', () => stats as never).metrics()
    const known = new Set([...exposed.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name))
    for (const file of ['prometheus/alerts.yml', 'grafana/sennit-relays.json']) {
      const asked = [...text(file).matchAll(/\b((?:sennit_relay|nodejs|process)_\w+)/g)].map(([, name]) => name!)
      expect(asked.length).toBeGreaterThan(3)
      expect(
        asked.filter((name) => !known.has(name)),
        file,
      ).toEqual([])
    }
  })
})

describe('Kubernetes', () => {
  it.skipIf(kubernetes.path === undefined)('takes the manifests, with no unknown field', () => {
    run(kubernetes.path!, ['--strict', '--quiet', 'kubernetes/relays.yaml'])
    run(kubernetes.path!, ['--strict', '--quiet', 'agents/agents.kubernetes.yaml'])
  })

  it('starts as many agents at once as the job says that there are', () => {
    const job = text('agents/agents.kubernetes.yaml')
    const numbers = [/completions: (\d+)/, /parallelism: (\d+)/, /name: SIZE, value: "(\d+)"/].map((pattern) => pattern.exec(job)?.[1])
    expect(numbers).toEqual(['4', '4', '4'])
    expect(job).toMatch(/completionMode: Indexed/)
  })
})
