/** How many connections a server holds, as the kernel tells: what was cut off has come back when they are as many as before. */
import { readFileSync } from 'node:fs'

/** State of an established connection in /proc/net/tcp. */
const established = '01'

/** Established connections at `port`, counted at the side that listens. */
export function connectionsAt(port: number): number {
  return ['/proc/net/tcp', '/proc/net/tcp6'].reduce((sum, file) => sum + countConnections(textOf(file), port), 0)
}

/** @param table the text of /proc/net/tcp: a head line, then a line a socket: number, local address, remote address, state, … */
export function countConnections(table: string, port: number): number {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return table.split('\n').filter((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/)
    return local.endsWith(wanted) && state === established
  }).length
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // A machine without IPv6, or without /proc: nothing is known, and waiting for it ends by its deadline.
    return ''
  }
}
