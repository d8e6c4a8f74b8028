import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const source = (file: string): string => readFileSync(new URL(`../../src/${file}`, import.meta.url), 'utf8')

/** The literals of `type` in the union of this name. */
function typesOf(union: string, text: string): string[] {
  const body = text.split(`export type ${union} =`)[1]?.split(/\n\n/)[0] ?? ''
  return [...body.matchAll(/type: '(\w+)'/g)].map((match) => match[1]!)
}

describe('the page of events', () => {
  const page = source('node/events.ts')
  const unions = [
    ['ClientEvent', source('core/client/types.ts')],
    ['ConnectionEvent', source('core/connection/types.ts')],
    ['DirectoryEvent', page],
    ['ConnectionEvent', page],
  ] as const

  it.each(unions)('says what every type of %s means', (union, text) => {
    const types = typesOf(union, text)
    expect(types.length).toBeGreaterThan(2)
    const told = new Set([...page.matchAll(/^ \* - (.*?):/gm)].flatMap((row) => [...row[1]!.matchAll(/`(\w+)`/g)].map((name) => name[1]!)))
    for (const also of page.matchAll(/`(resumed)`/g)) told.add(also[1]!)
    expect(types.filter((type) => !told.has(type))).toEqual([])
  })
})
