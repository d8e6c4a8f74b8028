// `sennit status`: the shape scripts read, and for people one block a client, one line a connection, one row a relay of its ranking.
import type { ClientStatus } from '@sennit/client'
import { table } from './output.ts'

/** One entry of `sennit status --json`. */
export interface Answer extends ClientStatus {
  readonly pid: number
  readonly command: string
}

/** The clients among those that answered, each with exactly the fields that are promised, in their order. */
export function clientStatuses(answers: readonly object[]): object[] {
  return answers.filter(isClient).map(({ pid, command, user, label, attachments, connections }) => ({
    pid,
    command,
    user,
    label,
    attachments: attachments.map(({ relay, carrier, rttMs, localAddress }) => ({
      relay,
      carrier,
      rttMs,
      ...(localAddress === undefined ? {} : { localAddress }),
    })),
    connections: connections.map(
      ({ id, peer, application, keyMode, state, paths, active, standby, modes, relayBytesSeen, failovers, ranking }) => {
        const { send, receive } = active
        const rows = ranking.map(({ relay, costMs, ownRttMs, peerRttMs, why }) => ({ relay, costMs, ownRttMs, peerRttMs, why }))
        return {
          id,
          peer,
          application,
          keyMode,
          state,
          paths,
          active: { send, receive },
          standby,
          failovers,
          ranking: rows,
          modes,
          relayBytesSeen,
        }
      },
    ),
  }))
}

function isClient(answer: object): answer is Answer {
  return 'attachments' in answer && 'connections' in answer
}

export function describeClients(clients: readonly object[]): string {
  return clients.map((client) => describeClient(client as Answer)).join('\n\n')
}

function describeClient(client: Answer): string {
  const name = client.label === '' ? client.user : `${client.user}/${client.label}`
  const attachments = client.attachments.map(describeAttachment).join(', ')
  const lines = [`${client.command}  pid ${client.pid}  ${name}`, `  attached to ${attachments === '' ? 'no relay' : attachments}`]
  for (const connection of client.connections) {
    const { send, receive } = connection.active
    const active = send === receive ? (send ?? 'no path') : `${send ?? 'no path'} out, ${receive ?? 'no path'} in`
    const readers = connection.keyMode === 'blind' ? '' : `, INSECURE: key mode ${connection.keyMode}, ${readersOf[connection.keyMode]}`
    lines.push(
      `  ${connection.application} with ${connection.peer}: ${connection.state}${readers}, active ${active}, standby ${connection.standby ?? 'none'}, ${connection.failovers} fail-overs${describeModes(connection.modes)}`,
    )
    if (connection.ranking.length === 0) continue
    const rows = connection.ranking.map((row) => [
      row.relay,
      row.costMs === null ? '-' : row.costMs.toFixed(1),
      milliseconds(row.ownRttMs),
      milliseconds(row.peerRttMs),
      row.why,
    ])
    lines.push(indent(table(['relay', 'cost ms', 'own rtt', 'peer rtt', 'why'], rows)))
  }
  return lines.join('\n')
}

function describeAttachment({ relay, carrier, rttMs, localAddress }: Answer['attachments'][number]): string {
  return `${relay} (${carrier}, ${milliseconds(rttMs)}${localAddress === undefined ? '' : `, from ${localAddress}`})`
}

/** Who reads along. */
const readersOf = { relay: 'relays can read the data', none: 'anybody on the way can read the data' } as const

/** Nothing for plain `best`, which is what everybody has. */
function describeModes({ send, receive, whole }: Answer['connections'][number]['modes']): string {
  if (send === 'best' && receive === 'best') return ''
  const words = send === receive ? send : `${send} out, ${receive} in`
  return `, paths ${words}${whole ? '' : ' (too few relays for it now)'}`
}

function milliseconds(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(1)} ms`
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n')
}
