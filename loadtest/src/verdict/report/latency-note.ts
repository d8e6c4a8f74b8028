// What the latencies of a run are, in a sentence: it depends on whether its senders wait for answers.
import { modelOf, type Plan } from '../../plan.ts'

/** '' in the open model, where the words of the reports hold as they are. */
export function latencyNote(plan: Pick<Plan, 'flows'>): string {
  switch (modelOf(plan)) {
    case 'open':
      return ''
    case 'closed':
      return 'Closed model: a message is due only when the last one was answered, so response and service time are the same round trip, and neither shows what senders who do not wait would have seen.'
    case 'mixed':
      return 'Some clients wait for answers (closed model): theirs are round trips, response and service time alike, in one table with those of clients who do not wait.'
  }
}
