// Exit codes outside `sennit test` (which has its own, in loadtest): one table, printed by `--help`.
// Errors are told by their shape, not their class, so that a command that needs no protocol need not load it.

export const EXIT = { ok: 0, bug: 1, usage: 2, refused: 3, unreachable: 4, interrupted: 130 } as const

/** What every error of Sennit looks like: a stable code, and the facts its message talks about. */
export interface CodedError extends Error {
  readonly code: string
  readonly facts: Readonly<Record<string, unknown>>
}

/** Codes that say a relay, the other end or a signed paper refuses: trying again unchanged cannot help. */
const refusedCodes: ReadonlySet<string> = new Set([
  'agent_refused',
  'application_mismatch',
  'application_not_allowed',
  'both_passive',
  'certificate_wrong',
  'cookie_wrong',
  'exists',
  'file_refused',
  'handshake_forged',
  'identity_unproved',
  'incompatible',
  'key_mismatch',
  'key_mode_mismatch',
  'limit',
  'list_empty',
  'list_expired',
  'list_foreign',
  'list_forged',
  'name_mismatch',
  'name_taken',
  'not_allowed',
  'not_calling',
  'not_registered',
  'not_yet',
  'out_of_date',
  'peer_revoked',
  'pinned_key_mismatch',
  'proxy_refused',
  'refused',
  'rejected',
  'relay_mismatch',
  'revoked',
  'self',
  'token_wrong',
  'unsupported',
  'version_incompatible',
  'wrong_mesh',
])

/** Codes that say nobody could be reached in the time given, or that whoever was reached went away. */
const unreachableCodes: ReadonlySet<string> = new Set([
  'aborted',
  'carrier_buffered',
  'carrier_lost',
  'client_closed',
  'closed',
  'connect_timeout',
  'consul_failed',
  'coordinator_gone',
  'coordinator_unreachable',
  'dial_failed',
  'dial_refused',
  'dial_timeout',
  'directory_failed',
  'draining',
  'handshake_timeout',
  'heartbeat_timeout',
  'no_peer',
  'no_relay',
  'paths_short',
  'peer_closed',
  'peer_restarted',
  'ping_timeout',
  'proxy_failed',
  'receive_timeout',
  'relay_not_ready',
  'stopped',
  'stream_closed',
  'stream_reset',
  'superseded',
  'timeout',
  'tls_failed',
  'wait',
  'write_stalled',
])

/** Codes that say the command line, or a file or port that it names, is wrong. */
const usageCodes: ReadonlySet<string> = new Set([
  'agents_missing',
  'bad_bind',
  'bad_carriers',
  'bad_directory',
  'bad_name',
  'bad_key_mode',
  'bad_paths',
  'bad_policy',
  'bad_proxy',
  'bad_share_scheme',
  'carrier_unknown',
  'config_invalid',
  'config_unreadable',
  'directory_locked',
  'directory_not_empty',
  'fault_failed', // this machine cannot do what the workbook asks for
  'file_changed',
  'file_malformed',
  'file_unreadable',
  'listen_failed',
  'mesh_unreadable',
  'relay_ended',
  'relay_exists',
  'relay_last',
  'relay_unknown',
  'too_large',
  'usage',
  'user_exists',
  'user_unknown',
])

/** The exit code that tells a script what kind of failure this was. */
export function exitCodeOf(error: unknown): number {
  if (isCoded(error)) {
    const { code } = error
    if (code === 'interrupted') return EXIT.interrupted
    if (usageCodes.has(code)) return EXIT.usage
    if (unreachableCodes.has(code)) return EXIT.unreachable
    if (refusedCodes.has(code) || code.startsWith('certificate_') || code.startsWith('credential_')) return EXIT.refused
    return EXIT.bug
  }
  return isSystemError(error) ? EXIT.usage : EXIT.bug
}

/**
 * The exit code of an error that nobody caught. What nobody caught nobody foresaw: a bug, whatever its code says, and a script must not take it for
 * a relay that is away. An interruption, and what the system refuses, are what they are wherever they come up.
 */
export function exitCodeOfUncaught(error: unknown): number {
  const code = exitCodeOf(error)
  return isCoded(error) && code !== EXIT.interrupted ? EXIT.bug : code
}

/** Whether an error is one of ours. */
export function isCoded(error: unknown): error is CodedError {
  return error instanceof Error && 'facts' in error && 'code' in error && typeof error.code === 'string'
}

/** Whether the operating system refused something the command line asked for: a folder that cannot be written, a disk that is full. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error
}

export function codedError(code: string, message: string, facts: Record<string, unknown> = {}, cause?: unknown): CodedError {
  return Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { code, facts })
}

/** An error of the command line: what was expected, what was found, what to do. */
export function usageError(message: string, facts: Record<string, unknown> = {}): CodedError {
  return codedError('usage', message, facts)
}
