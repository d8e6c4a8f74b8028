/**
 * What an operator or an application wants of relays beside speed: pins, preferences and weights, as text
 * (`pin=r1+r2,prefer=region:eu,avoid=r9,price=2`) and as data. Each end has its own; the captain adds both.
 */
import { type RelayEntry, SennitError } from '@sennit/protocol'
import { type Criterion, criteria, neutralWeights } from './criteria.ts'

/** What one end wants of relays. Selectors are relay ids, or `region:NAME`, `zone:NAME`, `domain:NAME`. */
export interface RelayPolicy {
  /** Only these are used, whatever the cost: with none of them reachable a connection waits. */
  readonly pin?: readonly string[]
  /** The others cost 30 ms more. */
  readonly prefer?: readonly string[]
  /** These cost 1 000 ms more: used when nothing else is left. */
  readonly avoid?: readonly string[]
  /** The region wanted; relays elsewhere, or nowhere known, cost 50 ms times the weight of `region`. */
  readonly region?: string
  /** How much each criterion counts; see the table of criteria for what 1 means. */
  readonly weights?: Readonly<Record<string, number>>
  /** The application's own criteria, beside the table. They have no text form. */
  readonly criteria?: readonly Criterion[]
}

/** What a policy says of one relay: why it may not be used, or what it adds. */
export interface PolicyVerdict {
  readonly excluded?: string
  readonly policyMs: number
  /** The parts of the sum, for `status`. */
  readonly parts: readonly string[]
}

/** A relay that is not preferred: more than the difference between two good ones, less than between near and far. */
const notPreferredMs = 30
/** A relay to avoid: more than any healthy round trip. */
const avoidedMs = 1_000
/** A weight beyond this says nothing a pin would not say better. */
const weightMax = 1_000
/** Selectors of one kind; a longer list wants a region or a zone. */
const selectorsMax = 64

const selectorPattern = /^(?:(region|zone|domain):)?[a-z0-9][a-z0-9._-]{0,62}$/

/** Applies one policy to relays. */
export class PolicyView {
  readonly policy: RelayPolicy
  readonly weights: Readonly<Record<string, number>>
  readonly #own: readonly Criterion[]
  /** Asked for at every look of every connection; an entry never changes, it is replaced. */
  readonly #verdicts = new WeakMap<RelayEntry, PolicyVerdict>()

  constructor(policy: RelayPolicy = {}) {
    this.policy = policy
    this.weights = { ...neutralWeights, ...policy.weights }
    this.#own = [...criteria, ...(policy.criteria ?? [])]
  }

  /** Whether it names relays at all. */
  get isChoosy(): boolean {
    return this.policy.pin !== undefined || this.policy.prefer !== undefined
  }

  /** Whether the policy names relays it wants attached: those it pins or prefers. */
  wants(entry: RelayEntry): boolean {
    return selected(this.policy.pin, entry) || selected(this.policy.prefer, entry)
  }

  /** Whether this relay may be used at all. */
  allows(entry: RelayEntry): boolean {
    return this.policy.pin === undefined || selected(this.policy.pin, entry)
  }

  verdict(entry: RelayEntry): PolicyVerdict {
    // What the application's own criteria say may change with the hour.
    if (this.policy.criteria !== undefined) return this.#judge(entry)
    let verdict = this.#verdicts.get(entry)
    if (verdict === undefined) {
      verdict = this.#judge(entry)
      this.#verdicts.set(entry, verdict)
    }
    return verdict
  }

  #judge(entry: RelayEntry): PolicyVerdict {
    if (!this.allows(entry)) return { excluded: 'not pinned', policyMs: 0, parts: [] }
    const parts: string[] = []
    let policyMs = 0
    const add = (costMs: number, words: string): void => {
      // A criterion of the application's own may fail to give a number; then it says nothing.
      if (!(costMs > 0) || !Number.isFinite(costMs)) return
      policyMs += costMs
      parts.push(`${Math.round(costMs * 10) / 10} ${words}`)
    }
    for (const criterion of this.#own) {
      const weight = this.weights[criterion.name] ?? 1
      if (weight > 0) add(weight * criterion.costMs(entry, this.policy), criterion.name)
    }
    if (this.policy.prefer !== undefined && !selected(this.policy.prefer, entry)) add(notPreferredMs, 'not preferred')
    if (selected(this.policy.avoid, entry)) add(avoidedMs, 'avoided')
    return { policyMs, parts }
  }
}

/** The policy of a connection: what `over` names takes the place of what `base` names; weights are taken one by one. */
export function mergePolicies(base: RelayPolicy | undefined, over: RelayPolicy | undefined): RelayPolicy {
  if (base === undefined || over === undefined) return over ?? base ?? {}
  const weights = base.weights === undefined && over.weights === undefined ? {} : { weights: { ...base.weights, ...over.weights } }
  return { ...base, ...over, ...weights }
}

/**
 * Reads the text of a policy: items separated by commas, the names of one item by `+`.
 * @throws SennitError `bad_policy` that names the item, what is allowed and an example
 */
export function parsePolicy(text: string): RelayPolicy {
  const policy: { -readonly [Key in keyof RelayPolicy]: RelayPolicy[Key] } = {}
  const weights: Record<string, number> = {}
  for (const item of text.split(',').map((part) => part.trim())) {
    if (item === '') continue
    const at = item.indexOf('=')
    const key = item.slice(0, Math.max(0, at)).trim()
    const value = item.slice(at + 1).trim()
    if (key === 'pin' || key === 'prefer' || key === 'avoid') policy[key] = selectors(item, value)
    else if (key === 'region' && !isNumber(value)) {
      policy.region = selectors(item, value)[0]!
    } else if (key in neutralWeights) weights[key] = weightOf(item, value)
    else throw badPolicy(item)
  }
  return Object.keys(weights).length === 0 ? policy : { ...policy, weights }
}

/** The text of a policy, as {@link parsePolicy} reads it. */
export function formatPolicy({ pin, prefer, avoid, region, weights = {} }: RelayPolicy): string {
  const items = [
    ...(pin === undefined ? [] : [`pin=${pin.join('+')}`]),
    ...(prefer === undefined ? [] : [`prefer=${prefer.join('+')}`]),
    ...(avoid === undefined ? [] : [`avoid=${avoid.join('+')}`]),
    ...(region === undefined ? [] : [`region=${region}`]),
    ...Object.entries(weights).map(([name, weight]) => `${name}=${weight}`),
  ]
  return items.join(',')
}

/** Whether one of `names` means this relay. */
function selected(names: readonly string[] | undefined, entry: RelayEntry): boolean {
  return names?.some((name) => means(name, entry)) ?? false
}

function means(name: string, entry: RelayEntry): boolean {
  const at = name.indexOf(':')
  if (at < 0) return name === entry.relayId
  const value = name.slice(at + 1)
  switch (name.slice(0, at)) {
    case 'region':
      return entry.traits?.region === value
    case 'zone':
      return entry.zone === value
    default:
      return entry.failureDomain === value
  }
}

function selectors(item: string, value: string): string[] {
  const names = value.split('+').map((name) => name.trim().toLowerCase())
  if (names.length > selectorsMax || names.some((name) => !selectorPattern.test(name))) throw badPolicy(item)
  return names
}

function isNumber(value: string): boolean {
  return /^\d+(\.\d+)?$/.test(value)
}

function weightOf(item: string, value: string): number {
  if (!isNumber(value) || Number(value) > weightMax) throw badPolicy(item)
  return Number(value)
}

function badPolicy(item: string): SennitError {
  const names = Object.keys(neutralWeights).join(', ')
  return new SennitError(
    'bad_policy',
    `expected pin=, prefer= or avoid= with relays (r1+r2, region:eu, zone:a, domain:d), region=NAME, or a weight from 0 to ${weightMax} for ${names}; found '${item}'. For example: pin=region:eu,price=2`,
    { item },
  )
}
