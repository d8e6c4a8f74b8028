// Progress of long work: one line rewritten on a terminal, nothing where nobody watches.
import type { Output } from './output.ts'

/** Redrawing more often than this costs more than it tells. */
const redrawMs = 200

export interface Progress {
  add(bytes: number): void
  end(): void
}

export function createProgress(out: Output, title: string, totalBytes: number): Progress {
  if (out.json || !process.stderr.isTTY) return { add() {}, end() {} }
  const startedMs = performance.now()
  let doneBytes = 0
  let drawnMs = 0
  return {
    add(bytes) {
      doneBytes += bytes
      const nowMs = performance.now()
      if (nowMs - drawnMs < redrawMs) return
      drawnMs = nowMs
      const rate = doneBytes / Math.max(1, nowMs - startedMs) / 1000
      const share = totalBytes === 0 ? 100 : (100 * doneBytes) / totalBytes
      const line = `${title}  ${share.toFixed(0)} %  ${(doneBytes / 1e6).toFixed(1)} MB  ${rate.toFixed(1)} MB/s`
      process.stderr.write(`\r\u001b[2K${line.slice(0, Math.max(20, (process.stderr.columns ?? 80) - 1))}`)
    },
    end() {
      process.stderr.write('\r\u001b[2K')
    },
  }
}
