// The virtual world: the real machines with a simulated clock, network and relays, one seed each.
export { actNames } from './nemesis.ts'
export { runVirtual, type VirtualOptions } from './run-virtual.ts'
export { knownModes } from './scenario.ts'
export { type ShrinkOptions, type ShrinkStep, type Shrunk, shrinkTest } from './shrink.ts'
export { type SeedResult, simulateSeed } from './simulate-seed.ts'
