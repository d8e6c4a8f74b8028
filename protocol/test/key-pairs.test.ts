import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)

// A pair of `generateKeyPairSync` whose export met the collection of its own job stood still for ever: with a young generation this small after
// 2 100, 2 100, 28 100 and 34 000 pairs.
test('no garbage collection stops the making of keys', { timeout: 60_000 }, async () => {
  const script = fileURLToPath(new URL('key-pairs.mjs', import.meta.url))
  await expect(run(process.execPath, ['--max-semi-space-size=1', script, '40000'], { timeout: 50_000 })).resolves.toBeDefined()
})
