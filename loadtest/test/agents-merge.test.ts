// What several agents recorded becomes one result, equal to that of one process that saw everything.
import { expect, test } from 'vitest'
import { shareClients } from '../src/agents/share.ts'
import { type RunResult, reportHtml } from '../src/verdict/index.ts'
import { fakeRun } from './fixtures/fake-run.ts'
import { scattered } from './fixtures/scattered.ts'
import { planOf, smallDrill } from './fixtures/sheets.ts'

const plan = planOf(
  smallDrill({
    Phases: [
      ['phase', 'start', 'duration', 'target', 'executor', 'from', 'to'],
      ['even', '2s', '2s', '', 'constant_rate', '200/s', ''],
    ],
    Limits: [
      ['limit', 'metric', 'filter', 'stat', 'op', 'value', 'window', 'severity'],
      ['L1', 'stall', 'action:kill', 'p(99)', '<=', '50ms', '', ''],
      ['L2', 'response_time', '', 'p(99)', '<=', '80ms', 'during:F1', ''],
      ['L3', 'throughput', '', 'rate', '>', '1/s', 'steady', ''],
      ['L4', 'lost', '', 'value', '=', 0, '', ''],
    ],
  }),
)

/** What does not depend on who saw it: service times need the sender's clock, receipts and agents name who told. */
function common({ summary, timeline, impacts, clients, incidents, reasons, relays }: RunResult): object {
  const { agents: _agents, latencyMs, phases = [], ...rest } = summary
  return {
    summary: { ...rest, response: latencyMs.response },
    phases: phases.map(({ latencyMs: { response }, ...phase }) => ({ ...phase, response })),
    timeline,
    impacts,
    clients,
    reasons,
    relays,
    incidents: incidents.map(({ relay: _relay, ...row }) => row).sort((a, b) => a.flow - b.flow || a.offset - b.offset),
  }
}

const jitter = (direction: number, index: number): number => 1 + ((direction * 7 + index * 13) % 17) / 4
const damages: [string, Parameters<typeof fakeRun>[0]['meddle']][] = [
  ['nothing', undefined],
  ['lost messages', (bytes, direction, index) => (direction % 2 === 0 && index % 40 === 3 ? [] : [bytes])],
  ['doubled messages', (bytes, _direction, index) => (index === 11 ? [bytes, bytes] : [bytes])],
  [
    'a changed byte',
    (bytes, direction, index) => (direction === 1 && index === 5 ? [bytes.map((byte, at) => (at === 40 ? byte ^ 1 : byte))] : [bytes]),
  ],
]

for (const agents of [1, 2, 4]) {
  test.each(damages)(`${agents} agents tell what one process sees: %s`, (_what, meddle) => {
    const run = { plan, latencyMs: jitter, ...(meddle === undefined ? {} : { meddle }) }
    const shares = shareClients(
      plan,
      Array.from({ length: agents }, (_, rank) => ({ rank, zone: '' })),
    )
    if ('problem' in shares) throw new Error(shares.problem)
    const across = plan.flows.filter(({ caller, listener }) => shares.rankOf[caller] !== shares.rankOf[listener])
    expect(across.length > 0).toBe(agents > 1)
    const one = fakeRun(run)
    const many = fakeRun({ ...run, recorder: scattered(plan, (client) => shares.rankOf[client]!, agents) })
    expect(common(many)).toEqual(common(one))
  })
}

test('an agent that was lost makes the run inconclusive, and none of its connections a loss', () => {
  const shares = shareClients(
    plan,
    [0, 1, 2].map((rank) => ({ rank, zone: '' })),
  )
  if ('problem' in shares) throw new Error(shares.problem)
  for (const lost of [0, 1, 2]) {
    const result = fakeRun({ plan, recorder: scattered(plan, (client) => shares.rankOf[client]!, 3, lost) })
    const { summary, reasons } = result
    expect({ summary, reasons }).toMatchObject({
      summary: {
        exitCode: 122,
        verdict: 'inconclusive',
        connections: { neverRecovered: 0 },
        integrity: { lost: 0, unexpected: 0, corrupted: 0 },
      },
      reasons: expect.arrayContaining([expect.stringMatching(`^agent ${lost} .host-${lost}. was lost`)]),
    })
    expect(summary.integrity.messages).toBeGreaterThan(0)
    expect(reportHtml(result)).toMatch(new RegExp(`<h2 id="agents">Agents</h2>.*host-${lost}.*badge bad">lost`, 's'))
  }
})
