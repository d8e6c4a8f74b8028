export {
  bestPaths,
  checkBuilt,
  formatMode,
  formatPaths,
  type PathMode,
  type PathsOption,
  parsePaths,
  pathsNeeded,
  samePaths,
  turned,
} from './mode.ts'
