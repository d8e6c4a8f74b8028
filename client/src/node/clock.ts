/** The time the machines are given: milliseconds since 1970, but steady. A clock that is set while we run moves no deadline. */
export function steadyNowMs(): number {
  return performance.timeOrigin + performance.now()
}
