// The virtual world: the real machines with a simulated clock, network and relays, one seed each.
export { runVirtual, type VirtualOptions } from './run-virtual.ts'
export { type SeedResult, type SimulateOptions, simulateSeed } from './simulate-seed.ts'
