// The mesh as an agent has it: the relays and the credentials that came with its share, in a folder of its own that goes with it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isName, type RelayEntry, SennitError, unhex } from '@sennit/protocol'
import type { TestMesh } from '../live/test-mesh.ts'
import type { Share } from './messages.ts'

export function openAgentMesh({ relays, credentials }: Pick<Share, 'relays' | 'credentials'>): TestMesh {
  const dir = mkdtempSync(join(tmpdir(), 'sennit-test-agent-'))
  try {
    const files = new Map<string, string>()
    for (const [user, text] of credentials) {
      // It becomes the name of a file.
      if (!isName(user))
        throw new SennitError('agent_refused', `the coordinator sent a credential of "${user.slice(0, 80)}", which is no user`)
      const file = join(dir, `${user}.cred`)
      writeFileSync(file, text, { mode: 0o600 })
      files.set(user, file)
    }
    const entries = relays.map(({ key, ...entry }): RelayEntry => (key === undefined ? entry : { ...entry, key: unhex(key) }))
    return { dir, entries, credentials: files, dispose: () => rmSync(dir, { recursive: true, force: true }) }
  } catch (error) {
    rmSync(dir, { recursive: true, force: true })
    throw error
  }
}
