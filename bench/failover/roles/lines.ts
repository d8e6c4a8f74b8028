// How a role talks: one JSON line in, one JSON line out, and lines of its own when something happens.
import { createInterface } from 'node:readline'

/** What the scorecard asks of a role; the answer has the same `id`. */
export interface Ask {
  readonly id: number
  readonly what: string
  readonly stream: number
  readonly fromMs?: number
  readonly toMs?: number
  readonly sent?: number
  readonly port?: number
}

export function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** Answers asks until the other end of the pipe goes, and then ends the process: an interrupted run leaves nothing behind. */
export function serveAsks(answer: (ask: Ask) => object | Promise<object>): void {
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => {
    const ask = JSON.parse(line) as Ask
    void Promise.resolve()
      .then(() => answer(ask))
      .then(
        (facts) => say({ id: ask.id, ...facts }),
        (error: unknown) => say({ id: ask.id, error: String(error) }),
      )
  })
  lines.on('close', () => process.exit(0))
}
