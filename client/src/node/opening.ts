/** Waits for a client's first attachment, and turns what the relays said into one error when there is none. */

import { SennitError } from '@sennit/protocol'
import type { RelayStatus } from '../core/client/types.ts'
import type { ClientEvent } from './events.ts'

/** Reasons that no second try changes. `not_registered` is not one: a user that was just added is known to the relays within a second. */
const finalReason = /^(certificate_.*|revoked|key_mismatch|wrong_mesh|out_of_date|incompatible|bad_proxy|carrier_unknown)$/

/** So long `not_registered` may still be news that has not reached the relays. */
const registeringMs = 5_000

/** Reasons that say more than that there is no relay, when all relays give the same. */
const refusalReason =
  /^(certificate_.*|revoked|key_mismatch|wrong_mesh|relay_mismatch|out_of_date|incompatible|not_registered|bad_proxy|carrier_unknown|proxy_refused)$/

export class Opening {
  readonly #failures = new Map<string, { code: string; message: string }>()
  #attached = false
  #changed: () => void = () => {}

  hear(event: ClientEvent): void {
    if (event.type === 'attached') this.#attached = true
    else if (event.type === 'dial_failed' || event.type === 'detached') this.#failures.set(event.relayId, event)
    else return
    this.#changed()
  }

  /** @throws SennitError `no_relay`, or the one reason for which all relays refuse */
  async wait(openMs: number, relays: () => readonly RelayStatus[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const startedAtMs = performance.now()
    const isFinal = (code: string): boolean =>
      finalReason.test(code) || (code === 'not_registered' && performance.now() - startedAtMs >= registeringMs)
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(this.#error(openMs, relays())), openMs)
      this.#changed = () => {
        if (this.#attached) return resolve()
        const failures = [...this.#failures.values()]
        // The client dials its best three first; when all of these refuse for good, the others would too.
        const enough = failures.length >= Math.min(3, relays().length)
        if (enough && failures.every((failure) => isFinal(failure.code))) reject(this.#error(openMs, relays()))
      }
      this.#changed()
    }).finally(() => {
      clearTimeout(timer)
      this.#changed = () => {}
    })
  }

  #error(openMs: number, relays: readonly RelayStatus[]): SennitError {
    const answers = relays.map(({ relay, state }) => {
      const failure = this.#failures.get(relay)
      return { relayId: relay, answer: failure === undefined ? state : `${failure.code}: ${failure.message}` }
    })
    const codes = new Set([...this.#failures.values()].map((failure) => failure.code))
    const [only] = codes
    const text = answers.map(({ relayId, answer }) => `${relayId}: ${answer}`).join('; ')
    if (codes.size === 1 && refusalReason.test(only!)) return new SennitError(only!, `the relays refuse this client (${text})`, { answers })
    return new SennitError('no_relay', `expected a relay to answer within ${openMs} ms; none did (${text})`, { answers })
  }
}
