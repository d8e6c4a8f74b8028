// Generates the protobuf code anew in a scratch folder and compares it with what is committed, so that the .proto stays the truth.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const committed = join(root, 'protocol/src/control/gen')
const scratch = mkdtempSync(join(tmpdir(), 'sennit-generated-'))
try {
  const made = spawnSync(join(root, 'node_modules/.bin/buf'), ['generate', '--output', scratch], { cwd: root, encoding: 'utf8' })
  if (made.status !== 0) throw new Error(`buf generate failed:\n${made.stdout}${made.stderr}`)
  const fresh = files(join(scratch, 'protocol/src/control/gen'))
  const kept = files(committed)
  const names = new Set([...fresh.keys(), ...kept.keys()])
  const different = [...names].filter((name) => fresh.get(name) !== kept.get(name))
  if (different.length > 0)
    throw new Error(`differs from what the .proto gives: ${different.join(', ')}. Run \`npm run generate\` and commit.`)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

function files(folder) {
  const found = new Map()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath ?? entry.path, entry.name)
    found.set(relative(folder, path), readFileSync(path, 'utf8'))
  }
  return found
}
