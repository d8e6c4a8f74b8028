/** Which carriers a client may use, and for which relays; what people write of it, and what the machine needs. */

import { type RelayEntry, SennitError } from '@sennit/protocol'
import { carrierNames } from './carrier.ts'
import type { ClientOptions } from './client-options.ts'

/** All relays but the named ones. */
const others = '*'

export interface CarrierChoice {
  readonly carriers: readonly string[]
  readonly carriersOf: Readonly<Record<string, readonly string[]>>
}

type Part = readonly [relay: string, carriers: readonly string[]]

/** @throws SennitError `bad_carriers` that lists the carriers or the relays there are */
export function readCarriers(option: ClientOptions['carriers'], relays: readonly RelayEntry[]): CarrierChoice {
  if (option === undefined) return { carriers: carrierNames, carriersOf: {} }
  const parts: readonly Part[] = typeof option === 'string' ? partsOf(option) : isList(option) ? [[others, option]] : Object.entries(option)
  const known = relays.map(({ relayId }) => relayId)
  const chosen = new Map<string, readonly string[]>()
  for (const [relay, carriers] of parts) {
    if (relay !== others && !known.includes(relay))
      throw wrong(`expected a relay of the list, ${known.join(', ')}, or * for the others`, relay)
    if (chosen.has(relay)) throw wrong(`expected the carriers of ${relay === others ? 'the other relays' : relay} once`, carriers.join())
    const stranger = carriers.find((name) => !(carrierNames as readonly string[]).includes(name))
    if (stranger !== undefined || carriers.length === 0)
      throw wrong(`expected one or more of ${carrierNames.join(', ')}${relay === others ? '' : ` for ${relay}`}`, stranger ?? '')
    chosen.set(relay, carriers)
  }
  const rest = chosen.get(others)
  chosen.delete(others)
  return { carriers: rest ?? carrierNames, carriersOf: Object.fromEntries(chosen) }
}

/** `upgrade,http`, `r1=http;upgrade,grpc`, `r1=http;*=upgrade`. */
function partsOf(text: string): Part[] {
  return text.split(';').map((part) => {
    const at = part.indexOf('=')
    const relay = at < 0 ? others : part.slice(0, at).trim()
    const names = part.slice(at + 1).split(',')
    return [relay, names.map((name) => name.trim()).filter((name) => name !== '')]
  })
}

function isList(option: readonly string[] | Readonly<Record<string, readonly string[]>>): option is readonly string[] {
  return Array.isArray(option)
}

function wrong(expected: string, found: string): SennitError {
  const text = `carriers: ${expected}; found "${found.slice(0, 80)}". For example: upgrade,http or r1=http;*=upgrade,grpc`
  return new SennitError('bad_carriers', text, { found })
}
