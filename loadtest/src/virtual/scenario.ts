// What a seed's world looks like: how many relays and clients, how they lie to each other, who calls whom, how much is said.
import { type ConnectionTuning, type PathsOption, parsePaths, pathsNeeded, type StreamSetOptions } from '@sennit/client/core'
import type { RelayLimits } from '@sennit/relay/core'
import type { Distribution } from '../plan.ts'
import type { ActorPlan, Call } from './actor.ts'
import type { Dice } from './dice.ts'
import type { LinkNature } from './link.ts'
import type { Fury } from './nemesis.ts'

export interface ScenarioClient {
  readonly user: string
  readonly label: string
  /** Its list, best first. */
  readonly relays: readonly string[]
  readonly startAtMs: number
  readonly turnMs: number
  readonly clock: { readonly offsetMs: number; readonly rate: number }
  readonly deadCarriers: readonly string[]
  readonly plan: { listens: { application: string; from: string }[]; calls: Call[] } & ActorPlan
}

export interface Scenario {
  readonly relays: readonly string[]
  readonly clients: readonly ScenarioClient[]
  readonly nature: () => LinkNature
  readonly fury: Fury
  /** No relay at all for so long that connections may die of it. */
  readonly longOutage: { readonly atMs: number; readonly forMs: number } | undefined
  readonly safetyMs: number
  readonly messagesPerSecond: number
  /** Messages come faster or slower so that the safety phase has about so many events; undefined: as they come. */
  readonly eventsAimed: number | undefined
  readonly streamsPerSecond: number
  readonly size: () => Distribution
  /** Ways to use relays that occur in this world. */
  readonly paths: readonly PathsOption[]
  /** What connections begin with: the first of these, or what the library does by itself. */
  readonly firstPaths: PathsOption | undefined
  readonly limits: Partial<RelayLimits>
  readonly connectionTuning: Partial<ConnectionTuning>
  readonly streams: Omit<StreamSetOptions, 'role'>
  readonly relayTurnMs: number
}

/** Ways to use relays, every mode at least once; all with `short=wait`, since worlds heal. */
const knownPaths: readonly PathsOption[] = [
  'best',
  'pair',
  'rotate(2s)',
  'rotate(random,3s)',
  'rotate(secret,2s)',
  'spread',
  'mirror(2)',
  'mirror(3)',
  'split(2)',
  'split(3)',
  'disperse(2,3)',
  // What needs three relays is possible in half of the worlds only, so it stands here more often.
  'disperse(3,4)',
  'send=disperse(2,3),receive=split(2)',
  'send=split(2),receive=disperse(2,3)',
  'send=mirror(2),receive=spread',
  'send=best,receive=pair',
  'send=pair,receive=rotate(2s)',
].map(parsePaths)

/** Kinds of {@link knownPaths}. */
export const knownModes: readonly string[] = [...new Set(knownPaths.flatMap(({ send, receive }) => [send.kind, receive.kind]))]

/** What a connection lives without a path is 120 s; a safety phase is much shorter, so that none may die of it. */
const safetyFromMs = 59_000
const safetyToMs = 64_000

export function drawScenario(dice: Dice): Scenario {
  const clientCount = drawClientCount(dice)
  const relays = Array.from({ length: drawRelayCount(dice, clientCount) }, (_, index) => `r${index + 1}`)
  // Minutes of dials that fail cost as much as five other worlds, and a few clients fail in them as many do.
  const longOutage =
    clientCount < few && relays.length <= fewRelays && dice.chance(0.15)
      ? { atMs: dice.between(10_000, 30_000), forMs: dice.between(90_000, 140_000) }
      : undefined
  const shortened = clientCount >= crowd ? 0.4 : clientCount >= many || clientCount < common ? 0.6 : 1
  const safetyMs = dice.between(safetyFromMs, safetyToMs) * shortened + (longOutage?.forMs ?? 0)
  const clients = drawClients(dice, relays, clientCount)
  drawPairs(dice, clients)
  const connections = clients.reduce((sum, { plan }) => sum + plan.calls.length, 0)
  const calm = dice.chance(0.1)
  // A world with few ways, often of one kind, so that both ends and all connections do the same.
  const shared = sharedRelays(clients)
  const possible = knownPaths.filter(({ send, receive }) => Math.max(pathsNeeded(send), pathsNeeded(receive)) <= shared)
  const paths = dice.shuffled(possible).slice(0, dice.int(1, 3))
  return {
    relays,
    clients,
    nature: drawNature(dice),
    fury: {
      acts: calm ? dice.int(0, 1) : dice.int(3, 12),
      fromMs: dice.between(1_000, 9_000),
      toMs: safetyMs - 500,
      longestMs: dice.pick([4_000, 12_000, 30_000]),
    },
    longOutage,
    safetyMs,
    messagesPerSecond: Math.min(2, drawMessages(dice, clientCount, relays.length, copiesOf(paths)) / (2 * connections)),
    eventsAimed: clientCount >= common && clientCount < many ? ordinaryEvents : undefined,
    streamsPerSecond: Math.min(0.1, dice.pick([0, 0.3, 1]) / (2 * connections)),
    size: () =>
      dice.pick<Distribution>([
        { kind: 'const', value: 100 },
        { kind: 'uniform', from: 64, to: 1_500 },
        { kind: 'lognormal', median: 400, sigma: 1.2 },
        {
          kind: 'mix',
          parts: [
            { value: 120, share: 0.95 },
            { value: 6_000, share: 0.045 },
            { value: 90_000, share: 0.005 },
          ],
        },
      ]),
    paths,
    firstPaths: dice.chance(0.7) ? dice.pick(paths) : undefined,
    limits: dice.chance(0.5) ? {} : { creditStartBytes: dice.pick([131_072, 196_608, 262_144]) },
    connectionTuning: {
      ...(dice.chance(0.5) ? {} : { epochMs: dice.between(3_000, 20_000) }),
      ...(dice.chance(0.7) ? {} : { epochPackets: dice.int(20, 400) }),
      ...(dice.chance(0.8) ? {} : { unackedBytesMax: dice.pick([65_536, 262_144]) }),
      ...(dice.chance(0.8) ? {} : { unackedPacketsMax: dice.pick([64, 256]) }),
    },
    streams: dice.chance(0.6) ? {} : { receiveBudgetBytes: dice.pick([131_072, 524_288, 2_097_152]) },
    relayTurnMs: dice.pick([0, 0, 0.5, 2]),
  }
}

/** 2 to 12: mostly a few, so that most of a world's events are not handshakes; in worlds of few clients now and then more than one attaches to. */
function drawRelayCount(dice: Dice, clients: number): number {
  const at = dice.next()
  if (clients >= common) return at < 0.45 ? 2 : at < 0.75 ? 3 : fewRelays
  if (at < (clients < small ? 0.5 : 0.85)) return dice.int(3, fewRelays)
  return at < (clients < small ? 0.8 : 0.96) ? dice.int(5, 8) : dice.int(9, 12)
}

/**
 * Messages a second, all connections together. What is interesting are the faults that messages meet, not how many messages there are: an ordinary
 * world has as many as make a run of it with what its clients and relays have to say to each other, a small one fewer.
 */
function drawMessages(dice: Dice, clients: number, relays: number, copies: number): number {
  const weight = (1 + copies) / 2
  if (clients < common) return (dice.pick([5, 8, 11]) * clients) / common / weight
  return (Math.max(10, messagesAlone - clients * relays) * dice.pick([0.9, 1, 1.1])) / (messagesPerMeeting * weight)
}

/** How often a packet goes out, on the average. */
function copiesOf(paths: readonly PathsOption[]): number {
  const modes = paths.flatMap(({ send, receive }) => [send, receive])
  return modes.reduce((sum, mode) => sum + ('n' in mode ? mode.n : 1), 0) / modes.length
}

/** A client's attachment to one relay makes as many events as a fourth of a message a second. */
const messagesPerMeeting = 4
/** Messages that would make an ordinary world without any attachment, times {@link messagesPerMeeting}. */
const messagesAlone = 114

/** What the safety phase of an ordinary world comes to; with its beginning and its end these are a little more than ten thousand. */
const ordinaryEvents = 10_000

/** A client attaches to the whole of a list up to this length. */
const attachedMax = 8
/** Worlds of so many clients are shorter: one of them costs as much as ten others. */
const crowd = 40
/** Worlds of so many are a little shorter, and so are those of fewer than {@link common}: what goes wrong in them goes wrong sooner. */
const many = 25
/** Worlds of so many have few relays: each relay is a handshake and a heartbeat of every client. Most worlds are of this size; smaller ones say less. */
const common = 20
/** A third of the worlds have fewer than this: they are the cheapest, and those that may have many relays. */
const small = 10
/** Worlds of fewer than this may lose every relay for minutes. */
const few = 14
const fewRelays = 4

/** 2 to 200, more than half of the worlds with 20 or more; the large ones are few. */
function drawClientCount(dice: Dice): number {
  const at = dice.next()
  if (at < 0.3) return dice.int(2, small - 1)
  if (at < 0.45) return dice.int(small, common - 1)
  if (at < 0.95) return dice.int(common, 22)
  return at < 0.995 ? dice.int(23, 60) : dice.int(61, 200)
}

function drawClients(dice: Dice, relays: readonly string[], count: number): ScenarioClient[] {
  const clients: ScenarioClient[] = []
  // In lists too long to attach to whole two ends find each other by the names on them, so these are the same for all.
  const wholeLists = relays.length > attachedMax || dice.chance(0.7)
  // Every list has this one, so that any two clients can meet.
  const common = dice.pick(relays)
  for (let index = 0; index < count; index++) {
    const previous = clients.at(-1)
    const labelled = previous !== undefined && previous.label === '' && dice.chance(0.12)
    const list = dice.chance(0.5) ? dice.shuffled(relays) : [...relays]
    const partial = list.filter((relay) => relay === common || dice.chance(0.6))
    clients.push({
      user: labelled ? previous.user : `u${String(index + 1).padStart(2, '0')}`,
      label: labelled ? 'second' : '',
      relays: wholeLists ? list : partial,
      startAtMs: dice.chance(0.8) ? dice.between(0, 500) : dice.between(0, 15_000),
      turnMs: dice.pick([0, 0, 0.3, 1.5]),
      clock: { offsetMs: dice.between(-300_000, 300_000), rate: 1 + dice.between(-2e-4, 2e-4) },
      deadCarriers: dice.chance(0.1) ? ['upgrade'] : [],
      plan: { listens: [], calls: [] },
    })
  }
  return clients
}

function drawPairs(dice: Dice, clients: readonly ScenarioClient[]): void {
  // Connections of a small world are cheap.
  const [least, most] = clients.length < common ? [0.4, 0.7] : [0.3, 0.45]
  const pairs = dice.int(Math.ceil(clients.length * least), Math.ceil(clients.length * most))
  const taken = new Set<string>()
  for (let count = 0; count < pairs; count++) {
    const [caller, listener] = dice.shuffled(clients)
    if (caller === undefined || listener === undefined) return
    const application = dice.pick(['mail', 'files'])
    const name = [nameOf(caller), nameOf(listener)].sort().join()
    if (taken.has(`${name} ${application}`)) continue
    taken.add(`${name} ${application}`)
    const atMs = dice.chance(0.7) ? dice.between(200, 3_000) : dice.between(0, 25_000)
    caller.plan.calls.push({ user: listener.user, label: listener.label, application, atMs })
    // Some call each other at nearly the same time, listening or not.
    const glare = dice.chance(0.3)
    if (glare)
      listener.plan.calls.push({ user: caller.user, label: caller.label, application, atMs: atMs + dice.pick([0, dice.between(0, 100)]) })
    if (!glare || dice.chance(0.5)) listen(listener, application)
  }
  // Nobody is idle: who neither calls nor is called listens.
  for (const client of clients) if (client.plan.calls.length === 0) listen(client, 'mail')
}

/** Relays that the two ends of every call have in common at least: a way that needs more would wait for ever, as it should. */
function sharedRelays(clients: readonly ScenarioClient[]): number {
  let least = attachedMax
  for (const client of clients)
    for (const call of client.plan.calls) {
      const peer = clients.find((one) => one.user === call.user && one.label === call.label)!
      least = Math.min(least, peer.relays.filter((relay) => client.relays.includes(relay)).length)
    }
  return least
}

function listen(client: ScenarioClient, application: string): void {
  if (!client.plan.listens.some((one) => one.application === application)) client.plan.listens.push({ application, from: '*' })
}

function nameOf(client: ScenarioClient): string {
  return client.label === '' ? client.user : `${client.user}/${client.label}`
}

/** Links of one world are of one kind, each with its own distance. */
function drawNature(dice: Dice): () => LinkNature {
  const near = dice.pick([0.1, 1, 5])
  const far = near + dice.pick([0.5, 10, 60])
  const jitterShare = dice.pick([0, 0.1, 0.5])
  const narrow = dice.chance(0.25)
  const capacityBytes = dice.pick([16_384, 65_536, 262_144, 1_048_576])
  const cutShare = dice.pick([0, 0.02, 0.2])
  const dialFailShare = dice.pick([0, 0, 0.03, 0.15])
  return () => {
    const latencyMs = dice.between(near, far)
    const bytesPerMs = narrow ? dice.between(20, 400) : dice.pick([1_000, 12_500, Number.POSITIVE_INFINITY])
    return { latencyMs, jitterMs: latencyMs * jitterShare, bytesPerMs, capacityBytes, cutShare, dialFailShare }
  }
}
