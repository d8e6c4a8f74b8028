import { cpus, totalmem } from 'node:os'
import type { Environment } from './verdict/run-result.ts'

/**
 * Facts of this machine that a reader of the report needs. The simulated world has none that matter, so that its result is the same everywhere.
 * @param sennit version of the program or package that runs the test
 */
export function environmentOf(engine: 'virtual' | 'local', sennit: string): Environment {
  if (engine === 'virtual') return { sennit, node: 'any', platform: 'simulated', cpus: 0, memoryBytes: 0 }
  return {
    sennit,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpus: cpus().length,
    memoryBytes: totalmem(),
  }
}
