/** Wall-clock milliseconds that never step back: certificates need the date, timers need steadiness. Read at start, then advanced by the monotonic clock. */
export function steadyClock(): () => number {
  const startMs = Date.now() - performance.now()
  return () => startMs + performance.now()
}
