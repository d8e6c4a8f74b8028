import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { errorCodes, FRAME_TYPE } from '../src/index.ts'
import { goldenFrames } from './samples.ts'

// The formatter pads table cells; only the words matter here.
const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8').replaceAll(/ +/g, ' ')
const sources = fileURLToPath(new URL('../src/', import.meta.url))

describe('docs/protocol.md', () => {
  test.each(Object.entries(FRAME_TYPE))('has the row of frame %s', (name, number) => {
    expect(page).toContain(`| 0x${number.toString(16).padStart(2, '0')} | ${name} |`)
  })

  test.each(goldenFrames)('has the golden bytes of $frame.type: $why', ({ frame, why, bytes }) => {
    expect(page).toContain(`| ${frame.type}: ${why} | \`${bytes.replaceAll(/ +/g, ' ')}\` |`)
  })

  test.each(Object.entries(errorCodes))('has the code %s', (code, meaning) => {
    expect(page).toContain(`| \`${code}\` | ${meaning} |`)
  })
})

test('every code that is raised is in the table', () => {
  const raised = new Set<string>()
  for (const file of readdirSync(sources, { recursive: true, encoding: 'utf8' })) {
    // What `node/` raises is about files of this machine, not about the wire.
    if (!file.endsWith('.ts') || file.startsWith('node')) continue
    const text = readFileSync(`${sources}${file}`, 'utf8')
    for (const match of text.matchAll(/new (?:Sennit|Protocol)Error\(\s*'([a-z_]+)'/g)) raised.add(match[1]!)
  }
  expect([...raised].filter((code) => errorCodes[code] === undefined)).toEqual([])
})
