/**
 * How many carriers to one relay a process opens at the same time. A program with a thousand clients whose relay stopped answering would otherwise begin
 * thousands of connections, wait in its own queues longer than any of them may take, give all of them up and begin again: alone each dial would have
 * worked. What waits here costs neither a socket nor a handshake nor time: its owner knows that it waits, counts from when it begins, and tries no other
 * carrier meanwhile. Owners that gave up what waited, to ask again, kept a process with a thousand clients busy with that alone for minutes.
 */
import type { SennitError } from '@sennit/protocol'
import type { Carrier, CarrierEvents } from './carrier.ts'

/** Dials to one relay under way: with 100 ms to open a carrier that is 640 a second. */
const dialsAtOnce = 64

type Begin = (events: CarrierEvents) => Carrier

interface Relay {
  running: number
  /** The oldest first; those that were given up stay until their turn or a clearing. */
  waiting: GatedCarrier[]
  givenUp: number
}

export class DialGate {
  readonly #atOnce: number
  readonly #relays = new Map<string, Relay>()

  constructor(atOnce: number = dialsAtOnce) {
    this.#atOnce = atOnce
  }

  /** Begins a dial to `url`, now or (see `waits`) when those before it are open or over. @throws what `begin` throws, when it begins now */
  dial(url: string, begin: Begin, events: CarrierEvents): Carrier {
    let relay = this.#relays.get(url)
    if (relay === undefined) {
      relay = { running: 0, waiting: [], givenUp: 0 }
      this.#relays.set(url, relay)
    }
    const carrier = new GatedCarrier(begin, events, (gated) => this.#over(url, gated))
    if (relay.running >= this.#atOnce) {
      relay.waiting.push(carrier)
      return carrier
    }
    relay.running += 1
    try {
      carrier.begin()
    } catch (error) {
      this.#over(url, carrier)
      throw error
    }
    return carrier
  }

  #over(url: string, carrier: GatedCarrier): void {
    const relay = this.#relays.get(url)
    if (relay === undefined) return
    if (carrier.begun) relay.running -= 1
    else {
      relay.givenUp += 1
      if (relay.givenUp * 2 < relay.waiting.length) return
      relay.waiting = relay.waiting.filter(({ opening }) => opening)
      relay.givenUp = 0
    }
    while (relay.running < this.#atOnce) {
      const next = relay.waiting.shift()
      if (next === undefined) break
      if (!next.opening) {
        relay.givenUp -= 1
        continue
      }
      relay.running += 1
      next.beginLate()
    }
    if (relay.running === 0) this.#relays.delete(url)
  }
}

class GatedCarrier implements Carrier {
  readonly #begin: Begin
  readonly #events: CarrierEvents
  readonly #over: (carrier: GatedCarrier) => void
  #carrier: Carrier | undefined
  /** Its turn came. */
  begun = false
  /** Neither open nor over. */
  opening = true

  constructor(begin: Begin, events: CarrierEvents, over: (carrier: GatedCarrier) => void) {
    this.#begin = begin
    this.#events = events
    this.#over = over
  }

  get waits(): boolean {
    return !this.begun
  }

  begin(): void {
    this.begun = true
    const { onBytes, onDrain } = this.#events
    this.#carrier = this.#begin({
      onOpen: () => {
        this.#settle()
        this.#events.onOpen()
      },
      onBytes,
      onDrain,
      onClose: (code, message) => {
        this.#settle()
        this.#events.onClose(code, message)
      },
    })
  }

  /** The same, when nobody is there to catch what it throws. */
  beginLate(): void {
    this.#events.onBegin?.()
    try {
      this.begin()
    } catch (error) {
      const { code, message } = error as Partial<SennitError>
      setImmediate(() => {
        if (!this.opening) return
        this.#settle()
        this.#events.onClose(code ?? 'dial_failed', message ?? String(error))
      })
    }
  }

  write(pieces: readonly Uint8Array[]): boolean {
    return this.#carrier?.write(pieces) ?? true
  }

  close(): void {
    this.#carrier?.close()
    this.#settle()
  }

  #settle(): void {
    if (!this.opening) return
    this.opening = false
    this.#over(this)
  }
}
