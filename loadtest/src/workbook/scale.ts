// Scaling a workbook: fewer or more of the same connections. Rates per connection stay, because a stall can be measured only at 100 messages/s.
import type { Client } from './clients-sheet.ts'
import type { Pair } from './pairs.ts'

interface World {
  readonly clients: readonly Client[]
  readonly pairs: readonly Pair[]
}

/** A user name has at most 63 characters; the suffix needs a few. */
const nameRoom = 56

/** Keeps `scale` of the pairs, evenly over the rows, at least one; above 1, repeats them under new names. */
export function scaled(clients: readonly Client[], pairs: readonly Pair[], scale: number): World {
  if (scale === 1 || pairs.length === 0) return { clients, pairs }
  const wanted = Math.max(1, Math.round(pairs.length * scale))
  const rounds = Math.ceil(wanted / pairs.length)
  const kept: Client[] = []
  const keptPairs: Pair[] = []
  for (let round = 0; round < rounds; round++) {
    const here = Math.min(pairs.length, wanted - round * pairs.length)
    const index = new Map<number, number>()
    const place = (client: number): number => {
      const before = index.get(client)
      if (before !== undefined) return before
      kept.push(round === 0 ? clients[client]! : copy(clients[client]!, round + 1))
      index.set(client, kept.length - 1)
      return kept.length - 1
    }
    for (let i = 0; i < here; i++) {
      const pair = pairs[Math.floor((i * pairs.length) / here)]!
      keptPairs.push({ caller: place(pair.caller), listener: place(pair.listener) })
    }
  }
  return { clients: kept, pairs: keptPairs }
}

function copy(client: Client, round: number): Client {
  const suffix = `.x${round}`
  const named = (text: string): string => (text === '' ? '' : `${text.slice(0, nameRoom)}${suffix}`)
  return { ...client, client: named(client.client), user: named(client.user), label: named(client.label) }
}
