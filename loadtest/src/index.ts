// The test set: a workbook becomes a plan, a run of it becomes a result, a result becomes reports.
export { type AgentOptions, runAgent } from './agents/run-agent.ts'
export { type AgentsOptions, runAgents } from './agents/run-agents.ts'
export { environmentOf } from './environment.ts'
export { findKnee, type Knee, type KneeOptions } from './knee/find-knee.ts'
export type { KneeFigures } from './knee/knee-step.ts'
export { type LiveOptions, runLive } from './live/run-live.ts'
export { type LivePage, type LivePageOptions, openLivePage } from './live-page/live-server.ts'
export { type StatusView, viewOf } from './live-page/status-view.ts'
export { agentsMax, type Drill, type Plan, planHash, type ReportKind, reportKinds } from './plan.ts'
export type { RunControls } from './run-controls.ts'
export { type RunTestAgents, type RunTestOptions, runTest, type TestSheets } from './run-test.ts'
export { type ComparedMetric, type Comparison, compareRuns, type Move } from './verdict/compare.ts'
export {
  type Environment,
  exitCodes,
  latencyNote,
  type RecorderOptions,
  RunRecorder,
  type RunResult,
  type RunStatus,
  type Summary,
  type Verdict,
} from './verdict/index.ts'
export { readSummary } from './verdict/read-summary.ts'
export { differences, readRunPlan } from './verdict/run-plan.ts'
export { type ReportOptions, type WrittenReports, writeReports } from './verdict/write-reports.ts'
export { convertWorkbook, encodeSheets, formOf, readSheets, type WorkbookForm } from './workbook/convert.ts'
export { type CheckOptions, type CheckResult, checkWorkbook, type Problem } from './workbook/index.ts'
export { newWorkbook, templateClientsMax } from './workbook/template.ts'
