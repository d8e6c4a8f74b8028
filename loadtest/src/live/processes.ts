// What whoever runs relays as processes of its own needs besides: a guard that outlives it, and a start that waits on a busy machine.
export { Guard } from './guard.ts'
export { startInTurn } from './start-in-turn.ts'
