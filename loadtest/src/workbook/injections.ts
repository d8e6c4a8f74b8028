// The column `inject` of `Clients`: what a client does that it should not, and when. Each item becomes acts on that client, as rows of `Faults` would.
import { faultActions } from '../fault-actions.ts'
import type { ActParameters, FaultAction } from '../plan.ts'
import { duration, type Kind, type Schedule, schedule, size, whole } from './grammar.ts'

export interface Injection {
  /** As it is written. */
  readonly word: string
  readonly when: Schedule
  readonly action: FaultAction
  readonly durationMs: number
  readonly parameters: Partial<ActParameters>
}

interface Word {
  readonly action: FaultAction
  /** What stands in its brackets; absent: nothing may. */
  readonly takes?: { readonly key: 'durationMs' | 'bytes'; readonly kind: Kind<number>; readonly fallback: number }
}

const lasting = (action: FaultAction): Word => ({
  action,
  takes: { key: 'durationMs', kind: duration, fallback: faultActions[action].durationMs },
})
const sized = (action: FaultAction, fallback: number, kind: Kind<number> = size): Word => ({
  action,
  takes: { key: 'bytes', kind, fallback },
})

const words: Readonly<Record<string, Word>> = {
  reset: { action: 'reset_peer' },
  half_open: { action: 'half_open' },
  vanish: lasting('vanish'),
  stall_read: lasting('stall_read'),
  flip: sized('flip', 1, whole(1, 1_000)),
  bad_password: { action: 'bad_password' },
  cert_expired: { action: 'cert_expired' },
  duplicate_id: { action: 'duplicate_id' },
  never_authenticate: { action: 'never_authenticate' },
  garbage: sized('garbage', 1_024),
  oversize: sized('oversize', 64 * 1024 * 1024),
}

/** No list is longer. */
const itemsMax = 100

export const injections: Kind<Injection[]> = {
  code: 'W112',
  expected: `what it does and when, such as at(40s):reset; poisson(0.01/s):flip(1); once:bad_password, of ${Object.keys(words).join(', ')}`,
  parse: (text) => {
    const items = text.split(';').filter((item) => item.trim() !== '')
    const read = items.map(injection)
    return items.length <= itemsMax && read.every((item) => item !== undefined) ? read : undefined
  },
}

function injection(text: string): Injection | undefined {
  const match = /^(.+?):([a-z_]+)(?:\(([^()]*)\))?$/.exec(text.replace(/ /g, '').toLowerCase())
  if (match === null) return undefined
  const [, whenText = '', word = '', inner] = match
  const when = schedule.parse(whenText)
  const known = words[word]
  if (known === undefined || when === undefined || when.kind === 'after' || when.kind === 'never') return undefined
  const { action, takes } = known
  const { durationMs } = faultActions[action]
  if (takes === undefined) return inner === undefined ? { word, when, action, durationMs, parameters: {} } : undefined
  const value = inner === undefined ? takes.fallback : takes.kind.parse(inner)
  if (value === undefined || value <= 0) return undefined
  return takes.key === 'durationMs'
    ? { word, when, action, durationMs: value, parameters: {} }
    : { word, when, action, durationMs, parameters: { bytes: value } }
}
