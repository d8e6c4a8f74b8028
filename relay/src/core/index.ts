/** The relay's pure core, for the shell and for the virtual world. */

export { type AdmissionRefusal, addressGroup } from './admission.ts'
export type { LogLevel, RelayEffect, RelayStats } from './effects.ts'
export { defaultLimits, type RelayLimits } from './limits.ts'
export type { HandedList } from './list-teller.ts'
export type { CarrierFacts, RelayMachineOptions } from './options.ts'
export { RelayMachine } from './relay-machine.ts'
