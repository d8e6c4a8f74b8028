/** What a connection shows of itself: what is, never what is merely configured. */
import type { Route } from '../paths/route.ts'
import type { AckTracker } from './ack-tracker.ts'
import type { Closing } from './closing.ts'
import type { Datagrams } from './datagrams.ts'
import type { Epochs } from './epochs.ts'
import type { Path } from './path.ts'
import type { PathTable } from './path-table.ts'
import type { Receiver } from './receiver.ts'
import type { Sender } from './sender.ts'
import type { ConnectionStatus, PathStatus } from './types.ts'

/** The machines to read from. */
export interface StatusSources {
  readonly closing: Closing
  readonly table: PathTable
  readonly sender: Sender
  readonly receiver: Receiver
  readonly acks: AckTracker
  readonly epochs: Epochs
  readonly datagrams: Datagrams
  readonly route: Route
}

export function connectionStatus(sources: StatusSources): ConnectionStatus {
  const { closing, table, sender, receiver, acks, epochs, datagrams, route } = sources
  const receives = acks.newestPathId === undefined ? undefined : table.all.get(acks.newestPathId)
  const { type } = closing.state
  return {
    state: type === 'open' ? 'open' : type === 'over' ? 'closed' : 'closing',
    paths: [...table.all.values()].map(pathStatus),
    active: { send: table.active?.relayId ?? null, receive: receives?.relayId ?? table.active?.relayId ?? null },
    sendsOver: route.inUse().map(({ relayId }) => relayId),
    standby: table.standby()?.relayId ?? null,
    failovers: table.failovers,
    planEpoch: table.plan?.epoch ?? 0,
    kept: {
      sent: sender.buffer.next,
      acked: sender.ackedPackets,
      received: receiver.received,
      resent: sender.resentPackets,
      duplicates: receiver.duplicates,
    },
    datagrams: {
      sent: datagrams.sent,
      dropped: datagrams.dropped,
      received: receiver.datagramsReceived,
      missing: receiver.datagramsMissing,
    },
    unackedBytes: sender.buffer.unackedBytes,
    short: route.short,
    relayBytesSeen: table.bytesSeen(),
    epoch: { send: epochs.sendEpoch, receive: epochs.receiveEpoch },
  }
}

function pathStatus(path: Path): PathStatus {
  const { rtt } = path
  return {
    pathId: path.pathId,
    relayId: path.relayId,
    state: path.state === 'open' && path.suspicion !== undefined ? 'suspect' : path.state,
    srttMs: rtt.srttMs ?? null,
    varMs: rtt.srttMs === undefined ? null : rtt.varMs,
    minRttMs: rtt.minMs ?? null,
    loss: path.packetsSent === 0 ? 0 : path.packetsLost / path.packetsSent,
    rateBytesPerSecond: (path.rate.rate ?? 0) * 1_000,
    inFlightBytes: path.inFlightBytes,
    waiting: path.waiting !== undefined,
  }
}
