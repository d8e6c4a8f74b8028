// What a network act does and when, step by step: one script for the fault proxy and for the simulated links.
import type { FaultAct, PlanLink } from './plan.ts'

/** `up` is client to relay, `down` is relay to client. */
export type Direction = 'up' | 'down'

/**
 * What is done to bytes between a client and a relay while a rule is in force. Rules of several acts add up: latencies add, any hold holds, any
 * refusal refuses, of limits the tightest counts. Over a byte stream a lost packet is a late one, so nothing here loses a byte: what is held is
 * late, and what cannot be repaired by waiting ends the connection.
 */
export interface LinkRule {
  /** @default both */
  readonly directions?: readonly Direction[]
  /** Added, one way. */
  readonly latencyMs?: number
  readonly jitterMs?: number
  readonly held?: boolean
  readonly bytesPerSecond?: number
  /** One byte in so many has a bit flipped. */
  readonly corruptOneIn?: number
  /** So many bits are flipped in each connection, in its next bytes. */
  readonly flipBits?: number
  /** This share of pieces is lost at first and comes after all `lossDelayMs` later; what follows waits behind it. */
  readonly lossShare?: number
  readonly lossDelayMs?: number
  /** Pieces larger than this are cut up, `sliceDelayMs` apart. */
  readonly sliceBytes?: number
  readonly sliceDelayMs?: number
  /** A piece larger than this does not come while the rule lasts, nor anything behind it. */
  readonly mtuBytes?: number
  /** A connection is reset when it has carried so much in one direction. */
  readonly limitBytes?: number
  /** This share of pieces comes twice. */
  readonly duplicateShare?: number
  /** This share of pieces is overtaken by the next one, or is late by `reorderDelayMs` when none follows. */
  readonly reorderShare?: number
  readonly reorderDelayMs?: number
  /** The end of a connection is told so much later. */
  readonly endDelayMs?: number
  /** New connections are refused. */
  readonly refuse?: boolean
  /** Something on the way answers every request itself, with a page of its own. */
  readonly captive?: boolean
  /** The relay's name is not found. */
  readonly nameless?: boolean
}

export type NetworkStep = { readonly afterMs: number } & (
  | {
      readonly do: 'apply' | 'lift'
      /** Which of the links; absent: all. */
      readonly link?: number
    }
  /** Every connection is cut with a reset. */
  | { readonly do: 'reset' }
  /** Every connection is dead from here, without a word to the client; the relay sees a reset. */
  | { readonly do: 'halfOpen' }
  /** The address of the client changes: what was open is dead (with or without a word), what is opened comes from another address. */
  | { readonly do: 'rebind'; readonly how: 'silent' | 'reset' }
)

/** A fast retransmission takes a round trip, and never less than this: the timers of both ends have their say. */
const resendMsMin = 10

/** What the rows of `Links` say of the way between clients of a zone and relays of another one, beside its latency. */
export function linkRules(links: readonly PlanLink[], clientZone: string, relayZone: string): LinkRule[] {
  const way = (direction: Direction, from: string, to: string): LinkRule[] => {
    const { rttMs = 0, bytesPerSecond, lossShare, lossBurst = 1 } = links.find((link) => link.from === from && link.to === to) ?? {}
    if (bytesPerSecond === undefined && lossShare === undefined) return []
    // Packets that are lost in a row are sent again together: over a byte stream that is one delay, and so much rarer.
    const loss = lossShare === undefined ? {} : { lossShare: lossShare / lossBurst, lossDelayMs: Math.max(resendMsMin, rttMs) }
    return [{ directions: [direction], ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }), ...loss }]
  }
  return [...way('up', clientZone, relayZone), ...way('down', relayZone, clientZone)]
}

/** The rule of an act; undefined when it has none. */
export function ruleOf(act: FaultAct): LinkRule | undefined {
  const directions = act.direction === 'both' ? {} : { directions: [act.direction] }
  const { share = 0, bytes = 0, delayMs = 0 } = act
  switch (act.action) {
    case 'blackhole':
    case 'partition':
    case 'isolate_one':
    case 'swizzle_clog':
    case 'vanish':
      return { held: true }
    case 'flip':
      return { flipBits: bytes }
    case 'flap':
      return act.how === 'cut' ? { refuse: true } : { held: true }
    case 'one_way':
      return { ...directions, held: true }
    case 'cut':
    case 'refuse':
      return { refuse: true }
    case 'latency':
      return { latencyMs: act.latencyMs, jitterMs: act.jitterMs }
    case 'loss':
      return { lossShare: share, lossDelayMs: delayMs }
    case 'bandwidth':
      return { bytesPerSecond: act.bytesPerSecond ?? 0 }
    case 'slice':
      return { sliceBytes: bytes, sliceDelayMs: delayMs }
    case 'mtu':
      return { mtuBytes: bytes }
    case 'limit_data':
      return { limitBytes: bytes }
    case 'corrupt':
      return { corruptOneIn: act.corruptOneIn }
    case 'duplicate_frame':
      return { duplicateShare: share }
    case 'reorder_frame':
      return { reorderShare: share, reorderDelayMs: delayMs }
    case 'slow_close':
      return { endDelayMs: delayMs }
    case 'captive':
      return { captive: true }
    case 'dns_gone':
      return { nameless: true }
    default:
      return undefined
  }
}

/** The steps of an act on so many links, in order of time. When the act is healed everything is lifted besides. `random` draws what is drawn. */
export function networkScript(act: FaultAct, links: number, random: () => number): NetworkStep[] {
  const { durationMs } = act
  switch (act.action) {
    case 'reset_peer':
      return every(act.everyMs === undefined ? 0 : durationMs, act.everyMs ?? 1, (afterMs) => [{ afterMs, do: 'reset' }])
    case 'half_open':
      return [{ afterMs: 0, do: 'halfOpen' }]
    case 'nat_rebind':
      return [{ afterMs: 0, do: 'rebind', how: act.how === 'reset' ? 'reset' : 'silent' }]
    case 'vanish':
      // As when a machine loses its power: what was open is dead without a word, and until it is back nothing new comes through.
      return [
        { afterMs: 0, do: 'apply' },
        { afterMs: 0, do: 'rebind', how: 'silent' },
      ]
    case 'cut':
    case 'captive':
      return [
        { afterMs: 0, do: 'apply' },
        { afterMs: 0, do: 'reset' },
      ]
    case 'flap': {
      const { downMs = 2_000, upMs = 2_000 } = act
      return every(durationMs, downMs + upMs, (afterMs) => [
        { afterMs, do: 'apply' },
        ...(act.how === 'cut' ? [{ afterMs, do: 'reset' } as const] : []),
        { afterMs: afterMs + downMs, do: 'lift' },
      ])
    }
    case 'swizzle_clog': {
      // Clogged one after the other in the first half, freed in another order in the second.
      const half = durationMs / 2
      return Array.from({ length: links }, (_, link): NetworkStep[] => [
        { afterMs: random() * half, do: 'apply', link },
        { afterMs: half + random() * half, do: 'lift', link },
      ])
        .flat()
        .sort((a, b) => a.afterMs - b.afterMs)
    }
    default:
      return [{ afterMs: 0, do: 'apply' }]
  }
}

/** More turns of one act than this are no test of anything. */
const turnsMax = 10_000

function every(durationMs: number, periodMs: number, turn: (afterMs: number) => NetworkStep[]): NetworkStep[] {
  const steps = turn(0)
  for (let count = 1; count < turnsMax && count * periodMs < durationMs; count++) steps.push(...turn(count * periodMs))
  return steps
}
