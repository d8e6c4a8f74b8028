/** Everything a client listens for, by handle. */
import type { KeyMode } from '@sennit/protocol'
import type { Attachments } from '../attach/attachments.ts'
import { Listen } from './listen.ts'
import type { ClientEffect, ListenRequest } from './types.ts'

export interface ListensContext {
  readonly random: () => number
  readonly attachments: Attachments
  /** Those that are taken where a request says nothing. */
  readonly keyModes: readonly KeyMode[]
  emit(effect: ClientEffect): void
  needsSync(): void
}

export class Listens {
  readonly #context: ListensContext
  readonly #byHandle = new Map<number, Listen>()

  constructor(context: ListensContext) {
    this.#context = context
  }

  get byHandle(): ReadonlyMap<number, Listen> {
    return this.#byHandle
  }

  /** Takes calls for an application, at every relay. */
  start(handle: number, request: ListenRequest): void {
    const { random, attachments, keyModes, emit, needsSync } = this.#context
    const listen = new Listen(
      {
        random,
        attachments,
        listening: (_listen, relayId) => emit({ type: 'listening', handle, relayId }),
        listenRefused: (_listen, relayId, code, message) =>
          emit({ type: 'event', event: { type: 'listen_refused', relayId, listenHandle: handle, code, message } }),
        listenFailed: (_listen, code, message, answers) => {
          this.#byHandle.delete(handle)
          emit({ type: 'listenFailed', handle, code, message, answers })
          needsSync()
        },
      },
      handle,
      request.application,
      request.from,
      request.keyModes ?? keyModes,
    )
    this.#byHandle.set(handle, listen)
    listen.start()
    needsSync()
  }

  stop(handle: number): void {
    this.#byHandle.get(handle)?.stop()
    this.#byHandle.delete(handle)
    this.#context.needsSync()
  }

  stopAll(): void {
    for (const handle of [...this.#byHandle.keys()]) this.stop(handle)
  }

  wake(nowMs: number): void {
    for (const listen of this.#byHandle.values()) listen.wake(nowMs)
  }

  wakeAtMs(): number {
    let atMs = Number.POSITIVE_INFINITY
    if (this.#byHandle.size === 0) return atMs
    for (const listen of this.#byHandle.values()) atMs = Math.min(atMs, listen.wakeAtMs())
    return atMs
  }
}
