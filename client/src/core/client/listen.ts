/** One listening: asked at every relay over one link, again at each new attachment; over when every relay that is reached refuses it. */
import type { HopControl, KeyMode } from '@sennit/protocol'
import type { Attachment } from '../attach/attachment.ts'
import type { Attachments } from '../attach/attachments.ts'
import { relayOf } from '../attach/links.ts'
import type { RelayAnswer } from './types.ts'

export interface ListenHost {
  readonly random: () => number
  readonly attachments: Attachments
  listening(listen: Listen, relayId: string): void
  listenRefused(listen: Listen, relayId: string, code: string, message: string): void
  listenFailed(listen: Listen, code: string, message: string, answers: RelayAnswer[]): void
}

export type ListenRefused = Extract<HopControl, { type: 'listenRefused' }>

type State =
  | { readonly type: 'asked' }
  | { readonly type: 'listening' }
  | { readonly type: 'refused'; readonly code: string; readonly message: string; readonly againAtMs: number }

/** A relay that refused while others listen is asked again after about this long: its limit may be over, the other holder gone. */
const againMs = 10_000

export class Listen {
  readonly handle: number
  readonly application: string
  readonly from: string
  readonly keyModes: readonly KeyMode[]
  readonly #host: ListenHost
  readonly #states = new Map<string, State>()
  #failed = false
  #wakeMs: number | undefined

  constructor(host: ListenHost, handle: number, application: string, from: string, keyModes: readonly KeyMode[]) {
    this.#host = host
    this.handle = handle
    this.application = application
    this.from = from
    this.keyModes = keyModes
  }

  /** Whether it takes calls of `user` for `application`. */
  takes(user: string, application: string): boolean {
    return !this.#failed && this.application === application && (this.from === '*' || this.from === user)
  }

  start(): void {
    for (const attachment of this.#host.attachments.attached()) this.attached(attachment)
  }

  attached(attachment: Attachment): void {
    // A relay keeps one listener of a name, so a second link would only take the place of the first.
    if (this.#failed || this.#askedBeside(attachment)) return
    this.#set(attachment, { type: 'asked' })
    attachment.sendControl({ type: 'listen', listenId: this.handle, application: this.application, from: this.from })
  }

  detached(attachment: Attachment): void {
    if (!this.#states.delete(attachment.relayId)) return
    this.#wakeMs = undefined
    const other = this.#host.attachments.siblingOf(attachment)
    if (other !== undefined) this.attached(other)
  }

  accepted(attachment: Attachment): void {
    this.#set(attachment, { type: 'listening' })
    this.#host.listening(this, attachment.relayId)
  }

  refused(nowMs: number, attachment: Attachment, { code, message }: ListenRefused): void {
    this.#set(attachment, { type: 'refused', code, message, againAtMs: nowMs + againMs * (0.5 + this.#host.random()) })
    this.#host.listenRefused(this, attachment.relayId, code, message)
    const states = [...this.#states]
    if (states.some(([, state]) => state.type !== 'refused')) return
    this.#failed = true
    const answers = states.map(([relayId, state]) => ({
      relayId,
      answer: state.type === 'refused' ? `${state.code}: ${state.message}` : '',
    }))
    this.#host.listenFailed(this, code, message, answers)
  }

  stop(): void {
    for (const relayId of this.#states.keys())
      this.#host.attachments.linkFor(relayId)?.sendControl({ type: 'unlisten', listenId: this.handle })
    this.#states.clear()
    this.#wakeMs = undefined
  }

  wake(nowMs: number): void {
    for (const [relayId, state] of this.#states) {
      if (state.type !== 'refused' || nowMs < state.againAtMs) continue
      const attachment = this.#host.attachments.linkFor(relayId)
      if (attachment?.attached === true) this.attached(attachment)
    }
  }

  #askedBeside({ relayId, relay }: Attachment): boolean {
    for (const other of this.#states.keys()) if (other !== relayId && relayOf(other) === relay) return true
    return false
  }

  #set(attachment: Attachment, state: State): void {
    this.#states.set(attachment.relayId, state)
    this.#wakeMs = undefined
  }

  // Asked after every turn, so it is remembered until a relay says something else.
  wakeAtMs(): number {
    this.#wakeMs ??= this.#nextWakeMs()
    return this.#wakeMs
  }

  #nextWakeMs(): number {
    let atMs = Number.POSITIVE_INFINITY
    for (const state of this.#states.values()) if (state.type === 'refused') atMs = Math.min(atMs, state.againAtMs)
    return atMs
  }
}
