/** How late the event loop is: every packet waits for it. */

/** Often enough to see a stall of a tenth of a second in most cases, and seldom enough to cost nothing. */
const sampleMs = 250

/** Tells each delay over what a timer is late anyway. @returns how to stop */
export function watchLoop(late: (delayMs: number) => void): () => void {
  let dueMs = performance.now() + sampleMs
  const timer = setInterval(() => {
    const nowMs = performance.now()
    late(Math.max(0, nowMs - dueMs))
    dueMs = nowMs + sampleMs
  }, sampleMs)
  timer.unref()
  return () => clearInterval(timer)
}
