export {
  bestPaths,
  formatMode,
  formatPaths,
  type PathMode,
  type PathsOption,
  parsePaths,
  pathsNeeded,
  pathsWanted,
  samePaths,
  turned,
} from './mode.ts'
