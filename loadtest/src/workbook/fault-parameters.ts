// What `p1`–`p4` of a fault mean, by action.
import type { ActParameters, FaultAction } from '../plan.ts'
import { bandwidth, duration, type Kind, oneOf, percent, size, whole } from './grammar.ts'
import { signedDuration, signedPercent } from './signed.ts'
import type { TableRow } from './table.ts'

/** Also `rolling_restart`'s gap, which the plan has turned into times. */
export type RowParameters = ActParameters & { readonly gapMs: number }

interface Parameter {
  readonly key: Exclude<keyof RowParameters, 'direction'> | 'direction'
  // biome-ignore lint/suspicious/noExplicitAny: each column has a kind of its own, and the key says which
  readonly kind: Kind<any>
  /** Absent: the cell must say it. `null`: absent in the act too. */
  readonly fallback?: number | string | null
}

/** Between two relays of a rolling restart: time for the first to be back in use. */
const rollingGapMs = 5_000

/** One byte in so many, as a share or as a size. */
const oneIn: Kind<number> = {
  code: 'W105',
  expected: 'a share of bytes such as 0.01%, or a size such as 64KiB (one byte in so many)',
  parse: (text) => {
    const share = text.includes('%') ? percent.parse(text) : undefined
    const bytes = share === undefined ? size.parse(text) : share === 0 ? undefined : Math.round(1 / share)
    return bytes === undefined || bytes < 1 ? undefined : bytes
  },
}

const positive = <T extends number>(kind: Kind<T>): Kind<T> => ({
  ...kind,
  parse: (text) => {
    const value = kind.parse(text)
    return value === undefined || value <= 0 ? undefined : value
  },
})

const limitedBandwidth: Kind<number> = { ...bandwidth, parse: (text) => bandwidth.parse(text) ?? undefined }

const parameters: Partial<Readonly<Record<FaultAction, readonly Parameter[]>>> = {
  restart: [{ key: 'how', kind: oneOf(['same_key', 'new_key']), fallback: 'same_key' }],
  rolling_restart: [
    { key: 'gapMs', kind: duration, fallback: rollingGapMs },
    { key: 'how', kind: oneOf(['same_key', 'new_key']), fallback: 'same_key' },
  ],
  cpu_hog: [
    { key: 'share', kind: positive(percent), fallback: 0.8 },
    { key: 'downMs', kind: positive(duration), fallback: 100 },
  ],
  clock_offset: [
    { key: 'offsetMs', kind: signedDuration },
    { key: 'how', kind: oneOf(['running', 'restart']), fallback: 'running' },
  ],
  clock_drift: [{ key: 'drift', kind: signedPercent }],
  one_way: [{ key: 'direction', kind: oneOf(['up', 'down']), fallback: 'up' }],
  flap: [
    { key: 'downMs', kind: positive(duration), fallback: 2_000 },
    { key: 'upMs', kind: positive(duration), fallback: 2_000 },
    { key: 'how', kind: oneOf(['hold', 'cut']), fallback: 'hold' },
  ],
  reset_peer: [{ key: 'everyMs', kind: positive(duration), fallback: null }],
  slow_close: [{ key: 'delayMs', kind: positive(duration), fallback: 2_000 }],
  latency: [
    { key: 'latencyMs', kind: duration },
    { key: 'jitterMs', kind: duration, fallback: 0 },
  ],
  loss: [
    { key: 'share', kind: positive(percent), fallback: 0.02 },
    { key: 'delayMs', kind: positive(duration), fallback: 200 },
  ],
  bandwidth: [{ key: 'bytesPerSecond', kind: positive(limitedBandwidth) }],
  slice: [
    { key: 'bytes', kind: positive(size), fallback: 64 },
    { key: 'delayMs', kind: duration, fallback: 1 },
  ],
  mtu: [{ key: 'bytes', kind: positive(size), fallback: 1_200 }],
  limit_data: [{ key: 'bytes', kind: positive(size) }],
  corrupt: [{ key: 'corruptOneIn', kind: oneIn, fallback: 65_536 }],
  duplicate_frame: [{ key: 'share', kind: positive(percent), fallback: 0.01 }],
  reorder_frame: [
    { key: 'share', kind: positive(percent), fallback: 0.01 },
    { key: 'delayMs', kind: positive(duration), fallback: 40 },
  ],
  nat_rebind: [{ key: 'how', kind: oneOf(['silent', 'reset']), fallback: 'silent' }],
  flip: [{ key: 'bytes', kind: whole(1, 1_000), fallback: 1 }],
  garbage: [{ key: 'bytes', kind: positive(size), fallback: 1_024 }],
  oversize: [{ key: 'bytes', kind: positive(size), fallback: 64 * 1024 * 1024 }],
  directory_down: [{ key: 'how', kind: oneOf(['missing', 'corrupt', 'older', 'empty']), fallback: 'missing' }],
}

/** Reads `p1`–`p4` of a row; a cell that the action has no parameter for is wrong. */
export function readParameters(row: TableRow, action: FaultAction): RowParameters {
  const known = parameters[action] ?? []
  const values: Record<string, unknown> = { gapMs: 0, latencyMs: 0, jitterMs: 0, direction: 'both', corruptOneIn: 0 }
  for (const [index, column] of ['p1', 'p2', 'p3', 'p4'].entries()) {
    const parameter = known[index]
    if (parameter === undefined) {
      const has = known.length === 0 ? 'no parameters' : `${known.length}`
      if (row.has(column)) row.wrong('W107', column, `expected nothing (${action} has ${has})`)
      continue
    }
    const { key, kind, fallback } = parameter
    const value = fallback === undefined ? row.need(column, kind) : row.read(column, kind, fallback)
    if (value !== null && value !== undefined) values[key] = value
  }
  return values as unknown as RowParameters
}
