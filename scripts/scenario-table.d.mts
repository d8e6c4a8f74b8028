import type { Plan } from '../loadtest/src/index.ts'

export interface Scenario {
  readonly name: string
  /** Share of the connections that `npm test` runs in the simulated world; absent: none. */
  readonly testScale?: number
  readonly live: { readonly scale: number; readonly seconds?: number }
  /** The feature taken away, and the limit that breaks then. */
  readonly without: {
    readonly what: string
    readonly scale?: number
    readonly seconds?: number
    readonly change: (plan: Plan) => Plan
    readonly breaks: string
  }
}

export const scenarios: readonly Scenario[]
export function firstSeconds(plan: Plan, seconds: number | undefined): Plan
