export { linkNumber, relayOf } from '../attach/links.ts'
export { ClientMachine } from './client-machine.ts'
export { type ClientTuning, clientTuning } from './tuning.ts'
export type {
  ClientConnectionStatus,
  ClientEffect,
  ClientEvent,
  ClientMachineOptions,
  ClientStatus,
  ConnectRequest,
  ListenRequest,
  Peer,
  RankingStatus,
  RelayAnswer,
  RelayStatus,
} from './types.ts'
