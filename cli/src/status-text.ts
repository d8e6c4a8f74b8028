// `sennit status` for people: one block a client, one line a connection, one row a relay of its ranking.
import type { ClientStatus } from '@sennit/client'
import { table } from './output.ts'

interface Answer extends ClientStatus {
  readonly pid: number
  readonly command: string
}

export function describeClients(clients: readonly object[]): string {
  return clients.map((client) => describeClient(client as Answer)).join('\n\n')
}

function describeClient(client: Answer): string {
  const name = client.label === '' ? client.user : `${client.user}/${client.label}`
  const attachments = client.attachments.map((one) => `${one.relay} (${one.carrier}, ${milliseconds(one.rttMs)})`).join(', ')
  const lines = [`${client.command}  pid ${client.pid}  ${name}`, `  attached to ${attachments === '' ? 'no relay' : attachments}`]
  for (const connection of client.connections) {
    const { send, receive } = connection.active
    const active = send === receive ? (send ?? 'no path') : `${send ?? 'no path'} out, ${receive ?? 'no path'} in`
    lines.push(
      `  ${connection.application} with ${connection.peer}: ${connection.state}, active ${active}, standby ${connection.standby ?? 'none'}, ${connection.failovers} fail-overs`,
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

function milliseconds(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(1)} ms`
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n')
}
