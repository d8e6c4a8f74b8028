import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { meshDirOf } from '../src/mesh-dir.ts'

const dir = mkdtempSync(join(tmpdir(), 'sennit-mesh-dir-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

test('a mesh directory without mesh.json is refused with what to do, by run and knee alike, and none is needed in the simulated world', () => {
  expect(() => meshDirOf({ mesh: dir })).toThrow(`expected a mesh directory with mesh.json in ${dir}; found none. Without --mesh`)
  expect(meshDirOf({ mesh: dir, virtual: true })).toBeUndefined()
  expect(meshDirOf({})).toBeUndefined()
  writeFileSync(join(dir, 'mesh.json'), '{}')
  expect(meshDirOf({ mesh: dir })).toBe(dir)
  expect(meshDirOf({ relayList: join(dir, 'relays.list') })).toBe(dir)
})
