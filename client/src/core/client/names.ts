/** Names: `alice`, or `alice/laptop` with a label. The name of a connection is both of them and the application. */
import { compareBytes, utf8 } from '@sennit/protocol'

/** The full name of a client. */
export function fullName(user: string, label: string): string {
  return label === '' ? user : `${user}/${label}`
}

/** The name of a connection as one end sees it: its own name is the same for all. */
export function connectionName(peerName: string, application: string): string {
  return `${peerName}\0${application}`
}

/**
 * Whether `own` goes first when both call at once: the smaller name by bytes, each written with its slash (`alice/`), so that relays and both
 * ends compare the same bytes whether there is a label or not.
 */
export function isElder(own: string, peer: string): boolean {
  return compareBytes(utf8(slashed(own)), utf8(slashed(peer))) < 0
}

function slashed(name: string): string {
  return name.includes('/') ? name : `${name}/`
}
