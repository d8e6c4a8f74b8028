/** What a client is connected to, in the shape that `sennit status --json` prints. */
import type { Attachment } from '../attach/attachment.ts'
import type { Attachments } from '../attach/attachments.ts'
import { formatMode } from '../paths/index.ts'
import type { Connections } from './connections.ts'
import type { ManagedConnection } from './managed-connection.ts'
import type { ClientConnectionStatus, ClientStatus, RankingStatus, RelayStatus } from './types.ts'

/** Every relay of the list and how it stands with it. */
export function relayStatus(attachments: Attachments, nowMs: number): RelayStatus[] {
  return [...attachments.all()].map((attachment) => {
    const failure = attachment.lastFailure
    const rttMs = attachment.leg.estimate(nowMs)?.rttMs
    return {
      relay: attachment.relayId,
      url: attachment.url ?? attachment.entry.urls[0] ?? '',
      state: relayState(attachment),
      ...(attachment.carrier === undefined ? {} : { carrier: attachment.carrier }),
      ...localAddressOf(attachment),
      ...(rttMs === undefined ? {} : { rttMs: rounded(rttMs) }),
      ...(attachment.attached || failure === undefined ? {} : { why: `${failure.code}: ${failure.message}` }),
    }
  })
}

/** What is attached, best first, and the connections that are on. */
export function linksAndConnections(
  attachments: Attachments,
  connections: Connections,
  nowMs: number,
): Pick<ClientStatus, 'attachments' | 'connections'> {
  return {
    attachments: attachments.attachedByRank().map((attachment) => {
      const rttMs = attachment.leg.estimate(nowMs)?.rttMs
      return {
        relay: attachment.relayId,
        carrier: attachment.carrier!,
        rttMs: rttMs === undefined ? null : rounded(rttMs),
        ...localAddressOf(attachment),
      }
    }),
    connections: [...connections.all()].filter((connection) => connection.stage === 'open').map(connectionStatus),
  }
}

function localAddressOf({ localAddress }: Attachment): { readonly localAddress?: string } {
  return localAddress === undefined ? {} : { localAddress }
}

/** One connection as it is now, never as it is merely planned. */
function connectionStatus(connection: ManagedConnection): ClientConnectionStatus {
  const status = connection.machine.status()
  const { send, receive, whenShort } = connection.agreement.inForce.paths
  return {
    id: connection.id,
    handle: connection.facts.handle,
    peer: connection.facts.peerName,
    application: connection.facts.application,
    keyMode: connection.facts.keyMode,
    role: connection.role,
    state: status.state === 'open' && connection.pathlessSinceMs !== undefined ? 'no_path' : status.state,
    paths: status.paths.map((path) => ({
      relay: path.relayId,
      state: path.state,
      rttMs: path.srttMs === null ? null : rounded(path.srttMs),
    })),
    active: { send: status.active.send, receive: connection.agreement.peerActive },
    sendsOver: status.sendsOver,
    standby: status.standby,
    modes: { send: formatMode(send), receive: formatMode(receive), short: whenShort, whole: !status.short },
    relayBytesSeen: status.relayBytesSeen,
    failovers: status.failovers,
    datagrams: status.datagrams,
    ranking: ranking(connection),
  }
}

function ranking(connection: ManagedConnection): RankingStatus[] {
  const plan = connection.agreement.inForce.plan
  const role = (relayId: string) => (relayId === plan?.activeFromCaller ? 'active: ' : relayId === plan?.standby ? 'standby: ' : '')
  if (connection.captain) {
    const { ranked, excluded } = connection.agreement.planner.ranking
    return [
      ...ranked.map(({ relayId, costMs, ownRttMs, peerRttMs, why }) => row(relayId, costMs, ownRttMs, peerRttMs, role(relayId) + why)),
      ...excluded.map(({ relayId, ownRttMs, peerRttMs, why }) => row(relayId, null, ownRttMs, peerRttMs, `excluded: ${why}`)),
    ]
  }
  return (plan?.relays ?? []).map(({ relayId, costMs, callerRttMs, listenerRttMs }, index) =>
    row(relayId, costMs, listenerRttMs, callerRttMs, `${role(relayId)}place ${index + 1} in the caller's plan ${plan!.epoch}`),
  )
}

function row(relay: string, costMs: number | null, ownRttMs: number | null, peerRttMs: number | null, why: string): RankingStatus {
  const round = (value: number | null) => (value === null ? null : rounded(value))
  return { relay, costMs: round(costMs), ownRttMs: round(ownRttMs), peerRttMs: round(peerRttMs), why }
}

function relayState(attachment: Attachment): RelayStatus['state'] {
  if (attachment.attached) return attachment.notices.draining === undefined ? 'attached' : 'draining'
  if (attachment.state === 'resting' || attachment.state === 'dialing') return attachment.state
  if (attachment.state === 'waiting') return attachment.failing ? 'refused' : 'dialing'
  return 'idle'
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
