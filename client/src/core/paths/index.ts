export {
  bestPaths,
  formatMode,
  formatPaths,
  type PathMode,
  type PathsOption,
  parsePaths,
  pathsWanted,
  samePaths,
  turned,
} from './mode.ts'
