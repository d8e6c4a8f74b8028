export {
  bestPaths,
  formatMode,
  formatPaths,
  type PathMode,
  type PathsOption,
  parsePaths,
  pathsLeast,
  pathsNeeded,
  pathsWanted,
  samePaths,
  turned,
} from './mode.ts'
