// A clock that is wrong on purpose, inside a relay's own process: what a machine without time service does. It is put into Node before the
// program starts and takes orders from descriptor 3; it ends with the process and leaves nothing behind.

import type { Clock } from '../zone-clock.ts'

export const rightClock: Clock = { offsetMs: 0, drift: 0 }

/** The date jumps and drifts; the steady clock only drifts, as a quartz does, for no system lets it jump. */
const hook = `
import net from 'node:net'
const date = Date, now = Date.now, steady = performance.now.bind(performance)
let clock = JSON.parse(process.env.SENNIT_TEST_CLOCK), sinceMs = steady(), gainedMs = 0
const gained = () => gainedMs + (steady() - sinceMs) * clock.drift
const wrong = () => Math.round(now() + clock.offsetMs + gained())
globalThis.Date = class extends date {
  constructor(...given) { given.length === 0 ? super(wrong()) : super(...given) }
  static now() { return wrong() }
}
performance.now = () => steady() + gained()
let text = ''
const orders = new net.Socket({ fd: 3, readable: true, writable: false })
orders.on('error', () => {}).on('data', (bytes) => {
  text += bytes
  const end = text.lastIndexOf('\\n')
  if (end === -1) return
  gainedMs = gained()
  sinceMs = steady()
  clock = JSON.parse(text.slice(0, end).split('\\n').at(-1))
  text = text.slice(end + 1)
}).unref()
`

/** Environment of a process that begins with this clock, and gains from then on. Its descriptor 3 takes the next ones, one line of JSON each. */
export function clockOptions(clock: Clock): Readonly<Record<string, string>> {
  const before = process.env.NODE_OPTIONS ?? ''
  const given = `--import=data:text/javascript;base64,${Buffer.from(hook).toString('base64')}`
  return { NODE_OPTIONS: `${before} ${given}`.trim(), SENNIT_TEST_CLOCK: JSON.stringify(clock) }
}
