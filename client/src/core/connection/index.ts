export { ConnectionMachine } from './connection-machine.ts'
export { type ConnectionTuning, connectionTuning } from './tuning.ts'
export type {
  CloseCode,
  ConnectionEffect,
  ConnectionEvent,
  ConnectionOptions,
  ConnectionStatus,
  DatagramCounts,
  MoveReason,
  PathOpening,
  PathPlan,
  PathStatus,
  StreamCounts,
  WaitReason,
} from './types.ts'
