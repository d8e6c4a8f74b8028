// The screen of a test run and its keys, without a terminal.
import type { RunControls, RunStatus } from '@sennit/loadtest'
import { runTest } from '@sennit/loadtest'
import { beforeAll, describe, expect, it } from 'vitest'
import { press } from '../src/run-keys.ts'
import { type ScreenState, screen } from '../src/run-screen.ts'

const Relays = Array.from({ length: 12 }, (_, index) => ({ relay: `r${index + 1}`, zone: 'z' }))
const Limits = Array.from({ length: 12 }, (_, index) => ({
  limit: `L${index}`,
  metric: 'response_time',
  op: '<=',
  value: index === 7 ? '1ms' : '2s',
}))
const Faults = Array.from({ length: 11 }, (_, index) => ({
  fault: `F${index + 1}`,
  when: index === 0 ? 'at(4s)' : 'never',
  duration: '1s',
  target: 'relay:r1',
  action: 'pause',
}))

let status: RunStatus
let plan: Awaited<ReturnType<typeof runTest>>['plan']
beforeAll(async () => {
  const told: RunStatus[] = []
  const links = [{ from: 'z', to: 'z', rtt: '10ms' }]
  const result = await runTest(
    {
      Run: { name: 'drill', duration: '6s', warmup: '1s' },
      Zones: [{ zone: 'z' }],
      Links: links,
      Relays,
      Clients: [{ client: 'c-{n}', count: 4, rate: '10/s', zone: 'z' }],
      Limits,
      Faults,
    },
    { onStatus: (one) => told.push(one) },
  )
  plan = result.plan
  status = told[2]!
})

const state: ScreenState = { view: 'run', from: 0, said: '', keys: true }

describe('the screen', () => {
  it.each([
    [80, 24],
    [60, 16],
    [200, 60],
    [20, 5],
  ])('fits %d columns and %d rows in every view', (columns, rows) => {
    for (const view of ['run', 'faults', 'help'] as const) {
      const lines = screen(status, plan, { ...state, view }, { columns, rows })
      expect(lines.length).toBeLessThanOrEqual(Math.max(8, rows - 1))
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns)
    }
  })

  it('shows at 80×24 what decides: states, rates, latency, integrity, faults, relays, the broken limit first, and the keys', () => {
    const text = screen(status, plan, state, { columns: 80, rows: 24 }).join('\n')
    for (const words of [
      /^drill {2}3 s of 6 s {2}\[#+-+\] {2}load$/m,
      /^clients {6}4 of 4 attached, 0 waiting, 0 refused, 0 left$/m,
      /^connections {2}2 of 2 open, 0 without a path, 0 failed, 0 broken$/m,
      /^rate {9}40 sent\/s, \d+ arrived\/s/m,
      /^latency ms {9}p50 {6}p90/m,
      /nothing lost, doubled, moved or changed/,
      /^faults now {3}none$/m,
      /^ {7}next {2}4 s F1 pause r1$/m,
      /^relays {7}r1 {9}up/m,
      /and \d+ more/,
      /^limits {7}11 held, 1 broken, 0 open\n {2}BROKEN {5}L7: response_time p\(99\) <= 1 ms, is \d/m,
      /p pause ramp {3}f begin a fault {3}s stop {3}\? help$/,
    ])
      expect(text).toMatch(words)
  })

  it('grows with the terminal until nothing is left out', () => {
    expect(screen(status, plan, state, { columns: 100, rows: 60 }).join('\n')).not.toMatch(/ more$/m)
  })

  it('says nothing of keys where none are heard', () => {
    expect(screen(status, plan, { ...state, keys: false }, { columns: 80, rows: 24 }).at(-1)).toBe('')
  })
})

describe('keys', () => {
  const controls = (): RunControls & { done: string[] } => ({
    drills: plan.drills ?? [],
    rampPaused: false,
    done: [],
    pauseRamp() {
      Object.assign(this, { rampPaused: true })
      this.done.push('pause')
    },
    resumeRamp() {
      Object.assign(this, { rampPaused: false })
      this.done.push('resume')
    },
    inject(fault) {
      if (fault === 'F2') throw new Error('F2: not here')
      this.done.push(fault)
    },
    stop() {
      this.done.push('stop')
    },
  })

  it.each<[string, string[], string[], Partial<ScreenState>]>([
    ['pause and go on', ['p', 'p'], ['pause', 'resume'], { view: 'run', said: 'the ramp goes on' }],
    ['stop', ['s'], ['stop'], { view: 'run' }],
    ['quit', ['q'], ['stop'], { view: 'run' }],
    ['choose a fault by its number', ['f', '3'], ['F3'], { view: 'run', said: 'F3 begins: pause relay:r1' }],
    ['choose one of the next', ['f', 'n', '2'], ['F11'], { view: 'run' }],
    ['come round to the first ones', ['f', 'n', 'n', '1'], ['F1'], { view: 'run' }],
    ['go back without a fault', ['f', '\u001b'], [], { view: 'run' }],
    ['press a number that has no fault', ['f', 'n', '9'], [], { view: 'faults', from: 9 }],
    ['hear why a fault cannot be', ['f', '2'], [], { view: 'run', said: 'F2: not here' }],
    ['ask for help, and leave it', ['?'], [], { view: 'help' }],
    ['do nothing by another key', ['x', '7'], [], { view: 'run', said: '' }],
    ['not stop from the list of faults', ['f', 's', 'q'], [], { view: 'faults' }],
  ])('%s', (_what, pressed, done, after) => {
    const run = controls()
    const end = pressed.reduce((now, key) => press(key, now, run), state)
    expect(run.done).toEqual(done)
    expect(end).toMatchObject(after)
  })

  it('do nothing before the run begins', () => {
    expect(press('s', state, undefined).said).toMatch(/nothing can be done/)
  })
})
