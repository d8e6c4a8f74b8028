import { describe, expect, test } from 'vitest'
import * as grammar from '../src/workbook/grammar.ts'

const duration: [string, number | undefined][] = [
  ['250ms', 250],
  ['30s', 30_000],
  ['5m', 300_000],
  ['5min', 300_000],
  ['2h', 7_200_000],
  ['1.5s', 1500],
  ['30 S', 30_000],
  ['0', 0],
  ['30', undefined],
  ['-5s', undefined],
  ['5 parsecs', undefined],
  ['1e9s', undefined],
  ['', undefined],
]
const rate: [string, number | undefined][] = [
  ['10/s', 10],
  ['600/min', 10],
  ['1/ms', 1000],
  ['0.5/s', 0.5],
  ['10 / s', 10],
  ['10', undefined],
  ['10 per sec', undefined],
]
const size: [string, number | undefined][] = [
  ['64', 64],
  ['1500B', 1500],
  ['4KiB', 4096],
  ['1.5kB', 1500],
  ['2 MiB', 2_097_152],
  ['4 K', undefined],
  ['-1', undefined],
]
const bandwidth: [string, number | null | undefined][] = [
  ['64kbit/s', 8000],
  ['1.5MB/s', 1_500_000],
  ['unlimited', null],
  ['64kbps', undefined],
]
const percent: [string, number | undefined][] = [
  ['2%', 0.02],
  ['0.5 %', 0.005],
  ['0', 0],
  ['120%', undefined],
  ['2', undefined],
]
const distribution: [string, object | undefined][] = [
  ['const(1024)', { kind: 'const', value: 1024 }],
  ['200', { kind: 'const', value: 200 }],
  ['uniform(64,1500)', { kind: 'uniform', from: 64, to: 1500 }],
  ['normal(1024, 128)', { kind: 'normal', mean: 1024, deviation: 128 }],
  ['lognormal(1024,0.5)', { kind: 'lognormal', median: 1024, sigma: 0.5 }],
  ['exp(1KiB)', { kind: 'exp', mean: 1024 }],
  [
    'mix(64:70%,1500:30%)',
    {
      kind: 'mix',
      parts: [
        { value: 64, share: 0.7 },
        { value: 1500, share: 0.3 },
      ],
    },
  ],
  ['mix(64:70%,1500:20%)', undefined],
  ['uniform(1500,64)', undefined],
  ['const(0)', undefined],
  ['gamma(3)', undefined],
]
const schedule: [string, object | undefined][] = [
  ['at(30s)', { kind: 'at', atMs: 30_000 }],
  ['every(5m,±10%)', { kind: 'every', everyMs: 300_000, spread: 0.1 }],
  ['every(5m)', { kind: 'every', everyMs: 300_000, spread: 0 }],
  ['poisson(0.2/s)', { kind: 'poisson', perSecond: 0.2 }],
  ['once', { kind: 'once' }],
  ['Never', { kind: 'never' }],
  ['after:F1+5s', { kind: 'after', fault: 'F1', delayMs: 5000 }],
  ['after:F1', { kind: 'after', fault: 'F1', delayMs: 0 }],
  ['every(0s)', undefined],
  ['at(30)', undefined],
  ['sometimes', undefined],
]
const target: [string, object | undefined][] = [
  ['relay:r1', { kind: 'relay', pattern: 'r1' }],
  ['relay:*', { kind: 'relay', pattern: '*' }],
  ['zone:eu', { kind: 'zone', pattern: 'eu' }],
  ['link:eu>us', { kind: 'link', from: 'eu', to: 'us' }],
  ['client:cam-*', { kind: 'client', pattern: 'cam-*' }],
  ['tag:iot', { kind: 'tag', pattern: 'iot' }],
  ['percent(20%,tag:iot)', { kind: 'percent', share: 0.2, of: { kind: 'tag', pattern: 'iot' } }],
  ['one(relay:*)', { kind: 'one', of: { kind: 'relay', pattern: '*' } }],
  ['busiest(relay:*)', { kind: 'busiest', of: { kind: 'relay', pattern: '*' } }],
  ['one(one(relay:*))', undefined],
  ['r1', undefined],
]

describe.each([
  ['duration', grammar.duration, duration],
  ['rate', grammar.rate, rate],
  ['size', grammar.size, size],
  ['bandwidth', grammar.bandwidth, bandwidth],
  ['percent', grammar.percent, percent],
  ['distribution', grammar.distribution, distribution],
  ['schedule', grammar.schedule, schedule],
  ['target', grammar.target, target],
] as [string, grammar.Kind<unknown>, [string, unknown][]][])('%s', (_name, kind, rows) => {
  test.each(rows)('%s', (text, value) => {
    expect(kind.parse(text)).toEqual(value)
  })
})

test.each([
  [grammar.rate, '10 per sec', '10/s'],
  [grammar.rate, '600 per minute', '600/min'],
  [grammar.rate, '10 msgs/s', '10/s'],
  [grammar.rate, '10', '10/s'],
  [grammar.duration, '30', '30s'],
  [grammar.duration, '5 minutes', '5min'],
  [grammar.duration, '1,5 s', '1.5s'],
  [grammar.size, '1500 bytes', '1500B'],
  [grammar.bandwidth, '64kbps', '64kbit/s'],
  [grammar.percent, '0.02', '2%'],
  [grammar.distribution, 'uniform 64 1500', 'uniform(64,1500)'],
  [grammar.schedule, '30s', 'at(30s)'],
  [grammar.schedule, 'at 30', 'at(30s)'],
  [grammar.target, 'r1', 'relay:r1'],
] as [grammar.Kind<unknown>, string, string][])('what is meant by %s %s is %s', (kind, text, guess) => {
  expect(kind.guess?.(text)).toBe(guess)
})

test('patterns match names without case', () => {
  expect(grammar.fits('cam-*', 'CAM-7')).toBe(true)
  expect(grammar.fits('*', 'x')).toBe(true)
  expect(grammar.fits('a*b*c', 'aXbYc')).toBe(true)
  expect(grammar.fits('a*a', 'a')).toBe(false)
  expect(grammar.fits('cam', 'cam-1')).toBe(false)
})
