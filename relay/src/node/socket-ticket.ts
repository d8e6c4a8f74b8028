/** The place one socket has in the admission of its address, from accept until it is proved, taken over by an attachment, or closed. */

import type { Socket } from 'node:net'
import type { RelayShell } from './relay-shell.ts'

/** Deadlines before anybody is authenticated (security.md): they bound what an idle or slow stranger costs. */
export interface PreAuthDeadlines {
  /** From accept to the first byte. @default 5000 */
  readonly firstByteMs: number
  /** The TLS handshake. @default 5000 */
  readonly tlsMs: number
  /** From accept to an attachment, or a request of a known one. @default 10000 */
  readonly attachMs: number
}

export const defaultDeadlines: PreAuthDeadlines = { firstByteMs: 5000, tlsMs: 5000, attachMs: 10_000 }

export class SocketTicket {
  readonly address: string
  private readonly shell: RelayShell
  private readonly socket: Socket
  private open = true
  private timer: NodeJS.Timeout | undefined
  private reason: string | undefined
  private counted = false
  private readonly onSettled: (ticket: SocketTicket) => void

  /** @param onSettled told once, when the place is given up or taken over */
  constructor(shell: RelayShell, socket: Socket, address: string, onSettled: (ticket: SocketTicket) => void) {
    this.onSettled = onSettled
    this.shell = shell
    this.socket = socket
    this.address = address
    socket.once('close', () =>
      // Whoever goes without having said who it is, is counted too: floods of half-begun sessions would be invisible otherwise.
      this.settle((machine, nowMs) => machine.socketClosed(nowMs, this.address, this.counted ? undefined : (this.reason ?? 'ended_early'))),
    )
  }

  /** Destroys the socket when nothing better has happened by then; the newest deadline counts. */
  deadline(afterMs: number, reason: string): void {
    if (!this.open) return
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.destroy(reason), afterMs)
  }

  /** An attachment takes the place over; false when it was given up before, and the attachment must enter by itself. */
  take(): boolean {
    return this.settle(() => {})
  }

  /** The socket belongs to an attachment that has proved itself. */
  prove(): void {
    this.settle((machine, nowMs) => machine.socketProved(nowMs, this.address))
  }

  /** Ends the socket and counts why, when it is unproved still. */
  destroy(reason: string): void {
    this.reason ??= reason
    this.socket.destroy()
  }

  /** Gives the place up at once, for somebody newer. */
  evict(): void {
    this.settle((machine, nowMs) => machine.socketClosed(nowMs, this.address, 'evicted'))
    this.socket.destroy()
  }

  /** Something was refused on this socket and counted already; its end will not be counted again. */
  blamed(): void {
    this.counted = true
  }

  private settle(tell: Parameters<RelayShell['act']>[0]): boolean {
    if (!this.open) return false
    this.open = false
    clearTimeout(this.timer)
    this.onSettled(this)
    this.shell.act(tell)
    return true
  }
}
