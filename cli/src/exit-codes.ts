// Exit codes outside `sennit test` (which has its own, in loadtest): one table, printed by `--help`.
import { SennitError } from '@sennit/protocol'

export const EXIT = { ok: 0, bug: 1, usage: 2, refused: 3, unreachable: 4, interrupted: 130 } as const

/** Codes that say the mesh or the other end refused us: trying again unchanged cannot help. */
const refusedCodes = new Set([
  'refused',
  'self',
  'not_registered',
  'not_allowed',
  'exists',
  'both_passive',
  'rejected',
  'limit',
  'name_taken',
  'not_yet',
  'out_of_date',
  'incompatible',
  'credential_unreadable',
  'file_refused',
])

/** Codes that say nobody could be reached in the time given. */
const unreachableCodes = new Set([
  'no_relay',
  'no_peer',
  'connect_timeout',
  'timeout',
  'dial_failed',
  'wait',
  'peer_restarted',
  'superseded',
  'receive_timeout',
  'peer_closed',
])

/** Codes that say the command line, or a file it names, is wrong. */
const usageCodes = new Set([
  'usage',
  'config_invalid',
  'mesh_unreadable',
  'mesh_exists',
  'relay_list_unreadable',
  'user_exists',
  'user_unknown',
])

/** The exit code that tells a script what kind of failure this was. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof SennitError)) return EXIT.bug
  if (usageCodes.has(error.code)) return EXIT.usage
  if (unreachableCodes.has(error.code)) return EXIT.unreachable
  if (refusedCodes.has(error.code) || error.code.startsWith('certificate_') || error.code.startsWith('credential_')) return EXIT.refused
  return EXIT.bug
}

/** An error of the command line: what was expected, what was found, what to do. */
export function usageError(message: string, facts: Record<string, unknown> = {}): SennitError {
  return new SennitError('usage', message, facts)
}
