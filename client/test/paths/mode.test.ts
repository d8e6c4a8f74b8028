import { SennitError } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { formatPaths, type PathsOption, parsePaths } from '../../src/core/paths/index.ts'

const best = { kind: 'best' } as const
const spread = { kind: 'spread' } as const

describe('the text of paths', () => {
  it.each([
    ['best', { send: best, receive: best, whenShort: 'wait' }],
    ['pair', { send: { kind: 'pair' }, receive: { kind: 'pair' }, whenShort: 'wait' }],
    ['send=spread,receive=best', { send: spread, receive: best, whenShort: 'wait' }],
    ['send=disperse(2,3),receive=spread;short=fail', { send: { kind: 'disperse', k: 2, n: 3 }, receive: spread, whenShort: 'fail' }],
    ['mirror(3);short=fail', { send: { kind: 'mirror', n: 3 }, receive: { kind: 'mirror', n: 3 }, whenShort: 'fail' }],
    ['rotate(10s)', both({ kind: 'rotate', how: 'regular', everyMs: 10_000 })],
    ['rotate(random,250ms)', both({ kind: 'rotate', how: 'random', everyMs: 250 })],
    ['rotate(secret,120s)', both({ kind: 'rotate', how: 'secret', everyMs: 120_000 })],
    ['split(8)', both({ kind: 'split', n: 8 })],
  ] as [string, PathsOption][])('%s is read and written back', (text, option) => {
    expect(parsePaths(text)).toEqual(option)
    expect(formatPaths(option)).toBe(text)
  })

  it.each([
    ['Mirror', 'mirror(2)'], // the numbers have defaults
    [' split ', 'split(2)'],
    ['disperse', 'disperse(2,3)'],
    ['rotate', 'rotate(10s)'],
    ['rotate(secret)', 'rotate(secret,10s)'],
    ['rotate(2m)', 'rotate(120s)'],
    ['send=mirror(2)', 'send=mirror(2),receive=best'], // what is not named is best
    ['receive = mirror( 2 ) ; short=wait', 'send=best,receive=mirror(2)'],
    ['receive=spread,send=spread', 'spread'],
  ])('"%s" means %s', (text, meant) => {
    expect(formatPaths(parsePaths(text))).toBe(meant)
  })

  it.each([
    ['', /expected best, pair/],
    ['miror(2)', /"miror\(2\)".*Nearest: mirror\(n\)/],
    ['spred', /Nearest: spread/],
    ['quantum', /expected best, pair.*found "quantum"$/],
    ['mirror(1)', /from 2 to 8/],
    ['mirror(9)', /from 2 to 8/],
    ['mirror(2,3)', /one number/],
    ['mirror(2', /found "mirror\(2"/],
    ['disperse(3)', /two numbers/],
    ['disperse(3,3)', /from 2 to 2 for k/],
    ['disperse(1,3)', /from 2 to 2 for k/],
    ['best(2)', /without numbers/],
    ['rotate(5ms)', /100ms to 24h/],
    ['rotate(secret,random)', /100ms to 24h|rotate\(random,10s\)/],
    ['rotate(10)', /100ms to 24h/],
    ['send=best,spread', /send=MODE and receive=MODE/],
    ['send=best,send=spread', /send= once/],
    ['best;short=never', /short=wait or short=fail/],
    ['best;', /short=wait or short=fail/],
    ['x'.repeat(10_000), /expected best/],
  ])('refuses "%.20s" and says what is allowed', (text, problem) => {
    let error: unknown
    try {
      parsePaths(text)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(SennitError)
    expect((error as SennitError).code).toBe('bad_paths')
    expect((error as SennitError).message).toMatch(problem)
  })
})

function both(mode: PathsOption['send']): PathsOption {
  return { send: mode, receive: mode, whenShort: 'wait' }
}
