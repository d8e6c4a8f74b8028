/** The Sennit relay: one port, no durable state, no payload it can read. */

export type { RelayLimits, RelayStats } from './core/index.ts'
export { type ListenAddress, type RelayConfig, readRelayConfig } from './node/config.ts'
export { endOnSignals } from './node/signals.ts'
export { type RunningRelay, type StartRelayOptions, startRelay } from './node/start-relay.ts'
