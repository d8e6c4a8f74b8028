// The verdict: payloads that can be checked, the recorder, the result and its reports.
export { type CheckerOptions, FlowChecker, type Incident, type Received } from './checker.ts'
export { fillKeystream, findMismatch, keystreamKey } from './keystream.ts'
export { encodeMessage, type MessageHeader, readHeader } from './message.ts'
export type { RecorderOptions, RelaySample, Side } from './recorded.ts'
export { reportHtml } from './report/html.ts'
export { latencyNote } from './report/latency-note.ts'
export { RunRecorder } from './run-recorder.ts'
export type {
  ClientResult,
  Environment,
  FailoverRecord,
  FaultLogRow,
  IncidentRow,
  LimitResult,
  RelayResult,
  RunResult,
  SpectrumRow,
  Summary,
  TimelineRow,
  Verdict,
} from './run-result.ts'
export type { GeneratorStatus, LimitStatus, NextAct, RelayState, RelayStatus, RunStatus } from './run-status.ts'
export { messageSize, sample } from './sizes.ts'
export { exitCodes } from './verdict.ts'
export { type ReportOptions, type WrittenReports, writeReports } from './write-reports.ts'
