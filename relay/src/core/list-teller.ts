/**
 * Hands the newest signed relay list out to the clients that asked, in parts, now and at each change. The relay only carries it: clients check
 * it, and take none that is older than what they have.
 */

import { relayListBytesMax } from '@sennit/protocol'
import type { Attachment } from './attachment.ts'
import type { RelayCore } from './core.ts'

/** A signed list as it lies in the relay's file. */
export interface HandedList {
  readonly version: number
  readonly bytes: Uint8Array
}

/** A control message holds 16 KiB; three quarters leave room for others in the same record. */
const partBytes = 12_288
/** Clients told in one turn, and the pause after it: 65 536 clients hear within three seconds, and packets pass meanwhile. */
const tellAtOnce = 500
const tellPauseMs = 20

export class ListTeller {
  readonly #core: RelayCore
  #list: HandedList | undefined
  readonly #asked = new Map<Attachment, number>()
  #toTell: Attachment[] = []
  #tellAtMs = Number.POSITIVE_INFINITY

  constructor(core: RelayCore, list: HandedList | undefined) {
    this.#core = core
    this.#take(list)
  }

  /** A client has version `version` and wants every newer one. */
  wanted(attachment: Attachment, version: number): void {
    this.#asked.set(attachment, version)
    this.#tell(attachment)
  }

  ended(attachment: Attachment): void {
    this.#asked.delete(attachment)
  }

  /** Another list is in force at the relay; an older one is ignored. */
  changed(nowMs: number, list: HandedList): void {
    if (list.version <= (this.#list?.version ?? 0)) return
    this.#take(list)
    this.#toTell = [...this.#asked.keys()]
    this.#tellAtMs = nowMs
  }

  wake(nowMs: number): void {
    if (nowMs < this.#tellAtMs) return
    for (const attachment of this.#toTell.splice(0, tellAtOnce)) this.#tell(attachment)
    this.#tellAtMs = this.#toTell.length > 0 ? nowMs + tellPauseMs : Number.POSITIVE_INFINITY
  }

  wakeAtMs(): number {
    return this.#tellAtMs
  }

  #take(list: HandedList | undefined): void {
    if (list !== undefined && list.bytes.length > relayListBytesMax)
      this.#core.log('warn', 'relay_list_too_long', { bytes: list.bytes.length, most: relayListBytesMax })
    else this.#list = list
  }

  #tell(attachment: Attachment): void {
    const list = this.#list
    const known = this.#asked.get(attachment)
    if (list === undefined || known === undefined || known >= list.version) return
    this.#asked.set(attachment, list.version)
    const { version, bytes } = list
    for (let offset = 0; offset < bytes.length; offset += partBytes) {
      const data = bytes.subarray(offset, offset + partBytes)
      this.#core.say(attachment, { type: 'relayListPart', version, offset, total: bytes.length, data })
    }
  }
}
