/** Relays in Consul's words: what a registration says, and what is believed of an answer. Answers are untrusted input. */

import { z } from 'zod'
import { isName } from '../../trust/names.ts'
import { traitsOfWords } from '../../trust/relay-traits.ts'
import type { SeenRelay } from '../../trust/seen-relays.ts'
import type { RelayTraits } from '../../trust/types.ts'

/** What a relay says of itself when it registers. */
export interface RelayRegistration {
  readonly meshId: string
  readonly relayId: string
  /** Where clients reach it, the best first; at most {@link urlsMax}. */
  readonly urls: readonly string[]
  readonly zone?: string
  readonly failureDomain?: string
  readonly traits?: RelayTraits
  readonly draining: boolean
}

/** Rows of one answer that are looked at; a mesh has fewer, and an agent that lies must not fill our memory. */
const rowsMax = 1_000
/** URLs of one relay: three ports at two providers, and some. Consul allows 512 characters in one value. */
export const urlsMax = 8
const urlCharactersMax = 60

const url = z
  .string()
  .max(urlCharactersMax)
  .regex(/^https?:\/\/[^\s/]+$/)
const number = z.string().transform((text, context) => {
  const value = Number(text)
  if (text !== '' && Number.isFinite(value)) return value
  context.addIssue({ code: 'custom', message: 'expected a number' })
  return z.NEVER
})
const meta = z.object({
  mesh: z.string(),
  relay: z.string().refine(isName),
  urls: z
    .string()
    .max(512)
    .transform((text) => text.split(' '))
    .pipe(z.array(url).min(1).max(urlsMax)),
  zone: z.string().max(64).optional().catch(undefined),
  failure_domain: z.string().max(64).optional().catch(undefined),
  region: z.string().refine(isName).optional().catch(undefined),
  price: number.pipe(z.number().min(0).max(1e9)).optional().catch(undefined),
  security_rating: number.pipe(z.number().min(0).max(100)).optional().catch(undefined),
  uptime: number.pipe(z.number().min(0).max(1)).optional().catch(undefined),
  speed_mbps: number.pipe(z.number().min(0).max(1e9)).optional().catch(undefined),
  qos: number.pipe(z.number().int().min(0).max(9)).optional().catch(undefined),
})
const row = z.object({ Service: z.object({ Tags: z.array(z.string()).nullable(), Meta: meta }) })

/** Tags and metadata of a registration. */
export function registrationWords(relay: RelayRegistration): { tags: string[]; meta: Record<string, string> } {
  const { traits = {}, zone, failureDomain } = relay
  const values: Record<string, string | number | undefined> = {
    mesh: relay.meshId,
    relay: relay.relayId,
    urls: relay.urls.join(' '),
    zone,
    failure_domain: failureDomain,
    region: traits.region,
    price: traits.price,
    security_rating: traits.securityRating,
    uptime: traits.uptime,
    speed_mbps: traits.speedMbps,
    qos: traits.qos,
  }
  const named = Object.entries(values).filter((entry): entry is [string, string | number] => entry[1] !== undefined)
  return {
    tags: ['sennit', `mesh-${relay.meshId}`, ...(relay.draining ? ['draining'] : [])],
    meta: Object.fromEntries(named.map(([key, value]) => [key, String(value)])),
  }
}

/**
 * The relays of this mesh that an answer names, each once, and how many rows were nothing of the kind. Whatever a check says of them: a relay whose
 * check fails may be there for its clients, and one that is not costs them a dial.
 */
export function relaysOfAnswer(meshId: string, answer: unknown): { relays: SeenRelay[]; strange: number } {
  const relays = new Map<string, SeenRelay>()
  if (!Array.isArray(answer)) return { relays: [], strange: 1 }
  let strange = Math.max(0, answer.length - rowsMax)
  for (const found of answer.slice(0, rowsMax)) {
    const read = row.safeParse(found)
    if (!read.success) {
      strange += 1
      continue
    }
    const { Meta, Tags } = read.data.Service
    if (Meta.mesh !== meshId || relays.has(Meta.relay)) continue
    const traits = traitsOfWords(Meta)
    relays.set(Meta.relay, {
      relayId: Meta.relay,
      urls: Meta.urls,
      ...(Meta.zone === undefined ? {} : { zone: Meta.zone }),
      ...(Meta.failure_domain === undefined ? {} : { failureDomain: Meta.failure_domain }),
      ...(Object.keys(traits).length === 0 ? {} : { traits }),
      ...(Tags?.includes('draining') === true ? { draining: true } : {}),
    })
  }
  // Consul's order is its own; a list that only changed its order is no other list.
  return { relays: [...relays.values()].sort((left, right) => (left.relayId < right.relayId ? -1 : 1)), strange }
}
