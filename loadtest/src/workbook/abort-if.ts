// The column `abort_if` of the sheet `Faults`.
import { conditionQuantities, type HaltCondition, type HaltQuantity } from '../plan.ts'
import { duration, type Kind, operators, percent, quantity, rate, size } from './grammar.ts'
import { listed, nearest } from './problems.ts'
import type { TableRow } from './table.ts'

const quantities = Object.keys(conditionQuantities) as HaltQuantity[]
/** More conditions than this nobody reads. */
const conditionsMax = 16
const written = 'expected conditions such as never_recovered > 0; p99 > 500ms; limit:L1'

/** Any of them ends the fault. @param limits names of the sheet `Limits` */
export function readAbortIf(row: TableRow, limits: readonly string[]): HaltCondition[] {
  const parts = row
    .text('abort_if')
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '')
  if (parts.length > conditionsMax) row.wrong('W118', 'abort_if', `expected at most ${conditionsMax} conditions`, String(parts.length))
  return parts.slice(0, conditionsMax).flatMap((part) => readCondition(row, part, limits) ?? [])
}

function readCondition(row: TableRow, part: string, limits: readonly string[]): HaltCondition | undefined {
  const wrong = (expectation: string, hint = ''): undefined => {
    row.wrong('W107', 'abort_if', expectation, `"${part.slice(0, 60)}"`, hint)
    return undefined
  }
  const named = /^limit: ?(.{1,63})$/i.exec(part)
  if (named !== null) {
    const limit = limits.find((one) => one.toLowerCase() === named[1]!.trim().toLowerCase())
    if (limit !== undefined) return { limit }
    const near = nearest(named[1]!, limits)
    row.wrong(
      'W111',
      'abort_if',
      `expected the name of a limit (${listed(limits) || 'there is none'})`,
      `"${named[1]!.slice(0, 60)}"`,
      near === undefined ? '' : `Nearest: ${near}`,
    )
    return undefined
  }
  const match = /^([a-z0-9_ ]{1,40}?) ?(<=|>=|==|!=|<>|[<>=≤≥≠]) ?(.{1,30})$/i.exec(part)
  if (match === null) return wrong(written)
  const word = match[1]!.toLowerCase().replace(/ /g, '_')
  const name = quantities.find((one) => one === word)
  if (name === undefined) {
    const near = nearest(word, quantities)
    return wrong(`expected one of ${quantities.join(', ')}, or limit:NAME`, near === undefined ? '' : `Nearest: ${near}`)
  }
  const op = operators[match[2]!]!
  const text = match[3]!.trim()
  const { of } = conditionQuantities[name]
  const condition = { quantity: name, op, text: `${name} ${op} ${text}` }
  const share = of === 'clients' || of === 'connections' ? percent.parse(text) : undefined
  if (share !== undefined && text.endsWith('%')) return { ...condition, value: share, share: true }
  const kinds: Record<typeof of, Kind<number>> = {
    bytes: size,
    ms: duration,
    rate,
    clients: quantity,
    connections: quantity,
    relays: quantity,
  }
  const value = kinds[of].parse(text) ?? (of === 'rate' ? quantity.parse(text) : undefined)
  if (value !== undefined) return { ...condition, value }
  return wrong(`expected ${kinds[of].expected}${of === 'clients' || of === 'connections' ? ', or a share such as 10%' : ''} for ${name}`)
}
