// What clients expect of the run (column `expect`): to be served, to be rejected, or to be disconnected. Both ways: who is let in that was to be
// rejected fails the run as well as who is not let in.
import type { Flow, Plan } from '../plan.ts'
import type { ClientRecord, FlowRecord } from './recorded.ts'

/** Whether one of the ends of a connection expects this. */
export function isExpected(plan: Plan, { caller, listener }: Flow, what: 'rejected' | 'disconnected'): boolean {
  return plan.clients[caller]!.expect === what || plan.clients[listener]!.expect === what
}

interface Recorded {
  readonly plan: Plan
  readonly clients: readonly ClientRecord[]
  readonly flows: readonly FlowRecord[]
}

/** Clients named in one sentence. */
const namesMax = 5

/** A sentence for each expectation that was not met. */
export function expectationReasons({ plan, clients, flows }: Recorded): string[] {
  const accepted: string[] = []
  const kept: string[] = []
  const flowsOf = new Map<number, Flow[]>()
  for (const flow of plan.flows) for (const end of [flow.caller, flow.listener]) flowsOf.set(end, [...(flowsOf.get(end) ?? []), flow])
  for (const [index, { client, expect }] of plan.clients.entries()) {
    if (expect === undefined) continue
    const own = flowsOf.get(index) ?? []
    const record = clients[index]!
    if (expect === 'rejected') {
      // Who calls nobody and is called by nobody can only be rejected by the relays.
      const letIn = own.length === 0 ? record.attachMs !== null : own.some(({ flow }) => flows[flow]!.opened > 0)
      if (letIn) accepted.push(client)
    } else if (record.state !== 'rejected' && !own.some(({ flow }) => flows[flow]!.broken > 0)) kept.push(client)
  }
  return [
    ...(accepted.length === 0 ? [] : [`expected to be rejected, and accepted: ${listed(accepted)}`]),
    ...(kept.length === 0 ? [] : [`expected to be disconnected, and not: ${listed(kept)}`]),
  ]
}

function listed(names: readonly string[]): string {
  const more = names.length - namesMax
  return `${names.slice(0, namesMax).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}
