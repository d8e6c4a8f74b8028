// Rows of the sheet `Limits`, with what most of them have in common.

export function limit(name, metric, stat, op, value, more = {}) {
  return { limit: name, metric, stat, op, value, window: 'run', severity: 'fail', ...more }
}

/** That these faults hit somebody, each of them (`min`) or one of them (`max`): an act that hits nobody proves nothing. */
export function hits(name, filter, stat = 'min') {
  return limit(name, 'failover_connections', stat, '>=', 1, {
    filter,
    severity: 'sometimes',
    note: 'an act that hits nobody proves nothing',
  })
}
