// What workbooks of any kind have in common.

export const Zones = [{ zone: 'here', label: 'this machine' }]

/** Relays r1 to r`count`, each a failure domain of its own. */
export function relays(count) {
  return Array.from({ length: count }, (_, i) => ({
    relay: `r${i + 1}`,
    zone: 'here',
    managed: 'yes',
    failure_domain: String.fromCharCode(97 + i),
    enabled: 'yes',
  }))
}

/** Nothing lost, nothing reset, whatever happens. */
export const always = [
  ...['lost', 'duplicated', 'reordered', 'corrupted', 'unexpected'].map((metric) => ({ metric, note: 'bytes' })),
  { metric: 'never_recovered', note: 'connections' },
  { limit: 'resets', metric: 'connections_reset', note: 'seen by an application' },
].map((row) => ({ limit: row.metric, stat: 'value', op: '=', value: 0, window: 'run', severity: 'fail', ...row }))
