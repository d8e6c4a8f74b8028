/** Prometheus metrics of one relay, taken from the machine's counts when somebody asks. */

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { RelayStats } from '../core/index.ts'

/** @param relayId becomes label `relay` of every metric */
export function relayMetrics(relayId: string, stats: () => RelayStats): Registry {
  const registry = new Registry()
  registry.setDefaultLabels({ relay: relayId })
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const counter = (name: string, help: string, read: (stats: RelayStats) => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(read(stats()))
      },
    })
  }
  const gauge = (name: string, help: string, read: (stats: RelayStats) => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(stats()))
      },
    })
  }
  const byName = (name: string, help: string, label: string, read: (stats: RelayStats) => Readonly<Record<string, number>>): void => {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset()
        for (const [value, total] of Object.entries(read(stats()))) this.inc({ [label]: value }, total)
      },
    })
  }
  counter('sennit_relay_forwarded_bytes_total', 'Sealed payload bytes passed from a source to a destination', (now) => now.forwardedBytes)
  counter('sennit_relay_forwarded_packets_total', 'Packets passed from a source to a destination', (now) => now.forwardedPackets)
  counter('sennit_relay_dropped_packets_total', 'Loose packets dropped because their destination was full', (now) => now.droppedPackets)
  new Gauge({
    name: 'sennit_relay_attachments',
    help: 'Authenticated attachments',
    labelNames: ['carrier'],
    registers,
    collect() {
      this.reset()
      for (const carrier of ['upgrade', 'http', 'grpc']) this.set({ carrier }, 0)
      for (const [carrier, total] of Object.entries(stats().attachments)) this.set({ carrier }, total)
    },
  })
  gauge('sennit_relay_unauthenticated', 'Sockets and attachments that have not proved who they are', (now) => now.unauthenticated)
  gauge('sennit_relay_users', 'Users with an attachment', (now) => now.users)
  gauge('sennit_relay_listens', 'Names listened on', (now) => now.listens)
  gauge('sennit_relay_held_requests', 'Requests held for somebody who is not here', (now) => now.heldRequests)
  gauge('sennit_relay_pending_joins', 'JOINs that wait for their other half', (now) => now.pendingJoins)
  gauge('sennit_relay_circuits', 'Coupled circuits', (now) => now.circuits)
  gauge('sennit_relay_waiting_circuits', 'Circuits whose source is told to wait', (now) => now.waitingCircuits)
  gauge('sennit_relay_queued_bytes', 'Payload bytes held for slow readers', (now) => now.queuedBytes)
  gauge('sennit_relay_promised_bytes', 'Hop credit windows of all circuits', (now) => now.promisedBytes)
  counter(
    'sennit_relay_asked_to_move_total',
    'Clients asked to use other relays, because this one was over its limit',
    (now) => now.askedToMove,
  )
  gauge('sennit_relay_draining', '1 while draining', (now) => (now.draining ? 1 : 0))
  byName('sennit_relay_refusals_total', 'Everything refused, by reason', 'reason', (now) => now.refusals)
  byName('sennit_relay_closes_total', 'Ended attachments, by reason', 'reason', (now) => now.closes)
  byName('sennit_relay_answers_total', 'Answers to connect requests, by code', 'code', (now) => now.answers)
  return registry
}
