// Who talks to whom: a client names its peer, or else neighbours are paired (the first with the second, the third with the fourth).
import type { Client } from './clients-sheet.ts'
import { listed, nearest } from './problems.ts'

export interface Pair {
  /** Indexes of the list of clients. */
  readonly caller: number
  readonly listener: number
}

export function pairClients(clients: readonly Client[]): Pair[] {
  const pairs: Pair[] = []
  const byName = new Map(clients.map((client, index) => [client.client.toLowerCase(), index]))
  const byGroup = groupsOf(clients)
  const known = new Set<string>()
  const named = new Set<number>()
  const complained = new Set<number>()
  clients.forEach((client, caller) => {
    if (client.peer === '' || client.peer === '*') return
    const listener = byName.get(client.peer.toLowerCase()) ?? inGroup(byGroup, client)
    if (listener === undefined) {
      complain(client, clients, complained)
      return
    }
    if (listener === caller) {
      client.row.wrong('W121', 'peer', `expected another client than ${client.client} itself (a client cannot be connected to itself)`)
      return
    }
    named.add(caller).add(listener)
    const key = [caller, listener].sort((a, b) => a - b).join()
    if (known.has(key) || client.connect.kind === 'never') return
    known.add(key)
    pairs.push({ caller, listener })
  })
  const lonely = clients.map((_, index) => index).filter((index) => clients[index]!.peer === '' && !named.has(index))
  for (let i = 0; i + 1 < lonely.length; i += 2) {
    const pair = { caller: lonely[i]!, listener: lonely[i + 1]! }
    if (clients[pair.caller]!.connect.kind !== 'never') pairs.push(pair)
  }
  if (lonely.length % 2 === 1 && complained.size === 0) {
    const last = clients[lonely.at(-1)!]!
    last.row.wrong(
      'W121',
      'peer',
      `expected a peer, or an even number of clients without one (neighbours are paired); ${last.client} is left over`,
    )
  }
  for (const { caller, listener } of pairs) {
    const [a, b] = [clients[caller]!, clients[listener]!]
    if (a.application.toLowerCase() !== b.application.toLowerCase() && !complained.has(b.row.row)) {
      complained.add(b.row.row)
      b.row.wrong(
        'W121',
        'application',
        `expected "${a.application}" as its peer ${a.client} (${a.row.address('application')})`,
        `"${b.application}"`,
      )
    }
    checkTraffic(a, b, complained)
    const refused = a.expect === 'rejected' || b.expect === 'rejected'
    if (a.keyMode !== b.keyMode && !refused && !complained.has(b.row.row)) {
      complained.add(b.row.row)
      b.row.wrong(
        'W121',
        'key_mode',
        `expected ${a.keyMode} as its peer ${a.client} (${a.row.address('client')}): two ends that accept nothing in common do not meet`,
        b.keyMode,
      )
    }
  }
  return pairs.sort((a, b) => a.caller - b.caller || a.listener - b.listener)
}

/** Two ends that only send, or only receive, would have a connection that carries nothing. */
function checkTraffic(a: Client, b: Client, complained: Set<number>): void {
  const { direction } = a.profile
  if (direction === 'both' || b.profile.direction !== direction || (a.traffic.rate === 0 && b.traffic.rate === 0)) return
  if (a.expect === 'rejected' || b.expect === 'rejected' || complained.has(b.row.row)) return
  complained.add(b.row.row)
  const [does, wants] = direction === 'send' ? ['sends', 'receive'] : ['receives', 'send']
  b.row.wrong(
    'W121',
    'profile',
    `expected a profile of direction ${wants} or both, as its peer ${a.client} (${a.row.address('client')}) only ${does}: nothing would go between them`,
    `${b.profile.profile} of ${b.client}, direction ${direction}`,
  )
}

/** A user name has at most 63 characters; the suffix needs a few. */
const echoRoom = 56

/** Adds a passive client beside each whose peer is `echo`, to answer it. A client of that name is itself the peer. */
export function withEchoes(clients: readonly Client[]): Client[] {
  const names = new Set(clients.map(({ client }) => client.toLowerCase()))
  if (clients.some(({ client }) => client.toLowerCase() === 'echo')) return [...clients]
  return clients.flatMap((client) => {
    if (client.peer.toLowerCase() !== 'echo') return [client]
    const name = `${client.client.slice(0, echoRoom)}.echo`
    if (names.has(name.toLowerCase()))
      client.row.wrong('W113', 'peer', `expected no client of the name ${name} (so its echo is called)`, `"${name}" in the sheet`)
    const echo: Client = {
      ...client,
      ...{ client: name, user: name.toLowerCase(), label: '', tags: [], peer: '*', echo: true, injections: [], note: '' },
      ...{ connect: { kind: 'once' }, session: null, disconnect: 'clean', reconnect: 'default', expect: 'delivered', wrongKey: false },
      ...{ attachAtMs: client.attachAtMs, detachAtMs: null, dataLimitBytes: null, readBytesPerSecond: null },
    }
    return [{ ...client, peer: name }, echo]
  })
}

/** Rows of several clients, by what is written in their cell, with and without `{n}`. */
function groupsOf(clients: readonly Client[]): Map<string, number[]> {
  const groups = new Map<string, number[]>()
  clients.forEach((client, index) => {
    const written = client.row.text('client').toLowerCase()
    for (const key of new Set([written, written.replaceAll('{n}', '').replace(/-$/, '')])) {
      const members = groups.get(key) ?? []
      members.push(index)
      groups.set(key, members)
    }
  })
  return groups
}

/** The member of the group that has the caller's number; over its end it begins again. */
function inGroup(groups: ReadonlyMap<string, number[]>, client: Client): number | undefined {
  const members = groups.get(client.peer.toLowerCase())
  return members === undefined || members.length === 0 ? undefined : members[(client.n - 1) % members.length]
}

function complain(client: Client, clients: readonly Client[], complained: Set<number>): void {
  if (complained.has(client.row.row)) return
  complained.add(client.row.row)
  const names = clients.map((one) => one.client)
  const near = nearest(client.peer, names)
  client.row.wrong(
    'W110',
    'peer',
    `expected the name of an enabled client (${listed(names, 6)})`,
    `"${client.peer}"`,
    near === undefined ? '' : `Nearest: ${near}`,
  )
}
