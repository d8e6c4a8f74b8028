// The deployment guide says what to type: its blocks are run here, word for word, with the machines of relays as folders on this one.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { freePorts } from '@sennit/protocol/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bin, Workshop } from '../../cli/test/program.ts'

const guide = readFileSync(fileURLToPath(new URL('../../docs/deployment.md', import.meta.url)), 'utf8')
const blocks = [...guide.matchAll(/^```sh\n# run\n(.*?)^```$/gms)].map(([, text]) => text!)

describe('the deployment guide', { timeout: 180_000 }, () => {
  const shop = new Workshop()

  beforeAll(() => {
    writeFileSync(shop.path('sennit'), `#!/bin/sh\nexec ${process.execPath} ${bin} "$@"\n`)
    chmodSync(shop.path('sennit'), 0o755)
    // Whatever happens, what the blocks started in the background ends with the script.
    const frame = [
      'set -euo pipefail',
      'end() { code=$?; set +e; for file in machines/*/pid *.pid; do [ -f "$file" ] && kill -KILL "$(cat "$file")" 2>/dev/null; done; exit "$code"; }',
      'trap end EXIT',
      ...blocks.map((text, index) => `echo "block ${index + 1}" >&2\n${text}`),
      'echo done >&2',
    ]
    writeFileSync(shop.path('guide.sh'), frame.join('\n'))
  })
  afterAll(async () => {
    await shop.close()
  }, 30_000)

  it('has blocks that work, from an empty folder to three regions, through upgrade, drain, new keys and a backup', async () => {
    expect(blocks.length).toBeGreaterThan(12)
    const [base] = await freePorts(1)
    const script = shop.program('bash', ['guide.sh'], { PATH: `${shop.dir}:${process.env.PATH}`, BASE: String(base) })
    const { code } = await script.end(170_000)
    expect(code, `${script.stdout}\n${script.stderr}`).toBe(0)
    expect(script.stderr).toMatch(/^done$/m)
    expect(script.stdout).toMatch(/^verdict: PASS/m)
  })

  it('explains every alert that is shipped, and no other', () => {
    const rules = readFileSync(fileURLToPath(new URL('../prometheus/alerts.yml', import.meta.url)), 'utf8')
    const shipped = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name)
    expect([...guide.matchAll(/^\| `(Sennit\w+)`/gm)].map(([, name]) => name)).toEqual(shipped)
  })
})
