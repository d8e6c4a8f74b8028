export { type Exposed, type ExposeOptions, expose, type ForwardLog } from './expose.ts'
export { type Forwarded, type ForwardOptions, forward } from './forward.ts'
