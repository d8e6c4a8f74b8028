// Sources of relays put together: the last good list is kept, an older or forged one is never taken, and no source disturbs another.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { issueMesh, type NewMesh, signRelayList } from '@sennit/protocol'
import { nodeCrypto } from '@sennit/protocol/node'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RelayDirectory } from '../../src/node/directory/relay-directory.ts'
import type { DirectoryEvent } from '../../src/node/events.ts'

const crypto = nodeCrypto()
const dayMs = 24 * 3_600_000
let folder: string
let mesh: NewMesh
let nowMs: number
const open: RelayDirectory[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sennit-directory-'))
  nowMs = Date.now()
  mesh = issueMesh(crypto, nowMs - 1_000)
})
afterEach(() => {
  for (const directory of open.splice(0)) directory.close()
  rmSync(folder, { recursive: true, force: true })
})

const at = (name: string): string => join(folder, name)

function list(version: number, ids: readonly string[], expiresMs = nowMs + 30 * dayMs, by = mesh): Uint8Array {
  const relays = ids.map((relayId) => ({ relayId, urls: [`http://${relayId}`] }))
  return signRelayList(crypto, by.keys.listSigner.privateKey, mesh.trust.meshId, { version, expiresMs, relays })
}

async function opened(...sources: string[]): Promise<{ directory: RelayDirectory; events: DirectoryEvent[]; versions: number[] }> {
  const directory = await RelayDirectory.open({ trust: mesh.trust, sources, cacheFile: at('kept.relays'), now: () => nowMs })
  open.push(directory)
  const events: DirectoryEvent[] = []
  const versions: number[] = []
  directory.watch({ changed: (_relays, version) => void versions.push(version), event: (event) => void events.push(event) })
  return { directory, events, versions }
}

const ids = (directory: RelayDirectory): string[] => directory.relays.map(({ relayId }) => relayId)

describe('the last good list', () => {
  it('is kept, and serves when every source is gone', async () => {
    writeFileSync(at('relays.list'), list(3, ['r1', 'r2']))
    await opened(at('relays.list'))
    expect(readFileSync(at('kept.relays'))).toEqual(Buffer.from(list(3, ['r1', 'r2'])))
    rmSync(at('relays.list'))
    const { directory, events } = await opened(at('relays.list'), 'consul://127.0.0.1:1')
    expect(ids(directory)).toEqual(['r1', 'r2'])
    expect(events.map((event) => (event.type === 'directory_trouble' ? event.code : event.type))).toEqual([
      'file_unreadable',
      'consul_failed',
    ])
  })

  it('stands against an older one in a file, and against a forged one', async () => {
    writeFileSync(at('relays.list'), list(5, ['r1']))
    await opened(at('relays.list'))
    for (const [bytes, code] of [
      [list(4, ['r9']), 'list_older'],
      [list(5, ['r9']), 'list_conflict'],
      [list(6, ['r9'], undefined, issueMesh(crypto, nowMs)), 'list_forged'],
      [list(6, ['r9'], nowMs - 1), 'list_expired'],
    ] as const) {
      writeFileSync(at('relays.list'), bytes)
      const { directory, events } = await opened(at('relays.list'))
      expect(ids(directory)).toEqual(['r1'])
      expect(events).toMatchObject([{ type: 'directory_trouble', code }])
    }
  })

  it('that is damaged, or over, is as good as none', async () => {
    writeFileSync(at('kept.relays'), 'nothing of the kind')
    writeFileSync(at('relays.list'), list(1, ['r1']))
    const { directory } = await opened(at('relays.list'))
    expect(ids(directory)).toEqual(['r1'])
    expect(readFileSync(at('kept.relays'))).toEqual(Buffer.from(list(1, ['r1'])))
  })

  it('that cannot be written is told, and disturbs nothing', async () => {
    mkdirSync(at('kept.relays'))
    writeFileSync(at('relays.list'), list(1, ['r1']))
    const { directory, events } = await opened(at('relays.list'))
    expect(ids(directory)).toEqual(['r1'])
    expect(events.filter(({ type }) => type === 'directory_trouble').length).toBeGreaterThan(0)
  })
})

it('with no relay from anywhere, the first source says why', async () => {
  await expect(opened(at('relays.list'), 'consul://127.0.0.1:1')).rejects.toMatchObject({ code: 'file_unreadable' })
  await expect(opened('consul:/nowhere')).rejects.toMatchObject({ code: 'file_unreadable' })
  await expect(opened('consul://host/a b')).rejects.toMatchObject({ code: 'bad_directory' })
})

describe('a relay', () => {
  it('hands out a newer list, which is used and kept; an older or forged one changes nothing', async () => {
    writeFileSync(at('relays.list'), list(2, ['r1']))
    const { directory, events, versions } = await opened(at('relays.list'))
    directory.handedOut('r1', list(3, ['r1', 'r2']))
    directory.handedOut('r1', list(2, ['r9']))
    directory.handedOut('r1', list(9, ['r9'], undefined, issueMesh(crypto, nowMs)))
    expect([ids(directory), directory.version, versions]).toEqual([['r1', 'r2'], 3, [3]])
    expect(events.slice(1)).toMatchObject([
      { type: 'relay_list', source: 'relay r1', version: 3, relays: ['r1', 'r2'] },
      { type: 'directory_trouble', source: 'relay r1', code: 'list_older' },
      { type: 'directory_trouble', source: 'relay r1', code: 'list_forged' },
    ])
    expect(readFileSync(at('kept.relays'))).toEqual(Buffer.from(list(3, ['r1', 'r2'])))
  })
})

it('a list near its end is told once, and what runs goes on after it', async () => {
  writeFileSync(at('relays.list'), list(2, ['r1'], nowMs + dayMs / 2))
  const { directory, events } = await opened(at('relays.list'))
  expect(events.at(-1)).toMatchObject({ type: 'relay_list_expires', version: 2, over: false })
  nowMs += dayMs
  expect(ids(directory)).toEqual(['r1'])
})
