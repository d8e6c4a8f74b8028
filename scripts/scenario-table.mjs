// The numbered workbooks of scenarios/: how much of each is run where, and what must break when the feature it proves is taken away.
// A plan is plain data, so taking a feature away is a change of the plan. `npm run scenarios` runs all of them; `npm test` what is cheap.

/** Everybody knows these relays only. */
const only = (pattern) => (plan) => ({
  ...plan,
  clients: plan.clients.map((client) => ({
    ...client,
    relays: plan.relays.map(({ relay }) => relay).filter((relay) => pattern.test(relay)),
  })),
})

/** Everybody uses one relay at a time. */
const best = (plan) => ({ ...plan, clients: plan.clients.map((client) => ({ ...client, paths: 'best' })) })

export const scenarios = [
  { name: '01-smoke', testScale: 1, live: { scale: 1 }, without: { what: 'one relay', change: only(/^r1$/), breaks: 'stall' } },
  {
    name: '02-steady-10k',
    testScale: 0.002,
    live: { scale: 0.02 },
    without: { what: 'one relay', scale: 0.01, change: only(/^r1$/), breaks: 'no_favourite' },
  },
  {
    name: '03-ramp-to-knee',
    testScale: 0.5,
    live: { scale: 1 },
    without: { what: 'paths = best for everybody', scale: 0.5, change: best, breaks: 'response' },
  },
  {
    name: '04-relay-kill-rotation',
    testScale: 0.1,
    live: { scale: 0.2 },
    without: { what: 'one relay', scale: 0.1, change: only(/^r1$/), breaks: 'stall' },
  },
  { name: '05-bad-clients', live: { scale: 1 }, without: { what: 'one relay', change: only(/^r1$/), breaks: 'stall_good' } },
  {
    name: '06-geo-baseline',
    testScale: 0.34,
    live: { scale: 0.34 },
    without: { what: 'relays in Tokyo only', scale: 0.34, change: only(/^jp-/), breaks: 'middle' },
  },
  {
    name: '07-geo-region-loss',
    testScale: 0.34,
    live: { scale: 0.34 },
    without: { what: 'relays in Frankfurt only', scale: 0.12, change: only(/^eu-/), breaks: 'stall_dies' },
  },
  {
    name: '08-geo-asymmetric-chaos',
    live: { scale: 0.34 },
    without: { what: 'relays in Washington only', scale: 0.12, change: only(/^us-/), breaks: 'stall_cuts' },
  },
  {
    name: '09-diversity',
    testScale: 0.5,
    live: { scale: 0.5 },
    without: { what: 'paths = best for everybody', scale: 0.5, change: best, breaks: 'stall_seamless' },
  },
  {
    name: '10-soak',
    live: { scale: 0.1, seconds: 480 },
    without: { what: 'one relay', scale: 0.02, seconds: 600, change: only(/^r1$/), breaks: 'kill survived' },
  },
]

/** The first `seconds` of a plan: acts that begin later, and limits on them, are left out. */
export function firstSeconds(plan, seconds) {
  if (seconds === undefined) return plan
  const acts = plan.acts.filter(({ atMs, durationMs }) => atMs + durationMs < seconds * 1000).map((act, index) => ({ ...act, act: index }))
  const left = new Set(acts.map(({ fault }) => fault))
  const limits = plan.limits.filter(
    ({ window, faults }) =>
      !('fault' in window && !left.has(window.fault)) && (faults.length === 0 || faults.some((fault) => left.has(fault))),
  )
  return { ...plan, run: { ...plan.run, durationMs: Math.min(plan.run.durationMs, seconds * 1000) }, acts, limits }
}
