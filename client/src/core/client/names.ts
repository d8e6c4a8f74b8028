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

/** Whether `own` goes first when both call at once: the smaller name by bytes. */
export function isElder(own: string, peer: string): boolean {
  return compareBytes(utf8(own), utf8(peer)) < 0
}
