/**
 * Validation of paths. Each end sends HELLO(nonce, full ack state) and carries kept packets only when the peer echoed the nonce. A path that
 * was judged bad draws a new nonce and starts again, so that an old hello still in some pipe revives nothing.
 */
import { type AckState, type CryptoProvider, emptyBytes, equalBytes, type HelloFrame, helloNonceBytes } from '@sennit/protocol'
import type { Outbox } from './outbox.ts'
import type { Path } from './path.ts'
import type { ConnectionTuning } from './tuning.ts'

/** The first repeat: the other end is often a moment later at the relay. */
const firstPauseMs = 100

export interface HelloNeeds {
  readonly crypto: CryptoProvider
  readonly random: () => number
  readonly tuning: ConnectionTuning
  readonly outbox: Outbox
  /** What arrived, as every hello tells. */
  ackState(): AckState
  planEpoch(): number
}

export class PathHello {
  readonly #needs: HelloNeeds

  constructor(needs: HelloNeeds) {
    this.#needs = needs
  }

  nonce(): Uint8Array {
    return this.#needs.crypto.randomBytes(helloNonceBytes)
  }

  /** Makes the path prove itself again. */
  restart(nowMs: number, path: Path): void {
    path.nonce = this.nonce()
    path.hellosSent = 0
    path.nextHelloAtMs = nowMs
    this.send(nowMs, path, false)
  }

  wake(nowMs: number, path: Path): void {
    if (!path.open && path.nextHelloAtMs <= nowMs) this.send(nowMs, path, false)
  }

  /** @param answers carry the peer's nonce back; repeats by the clock carry none, which asks for an answer */
  send(nowMs: number, path: Path, answers: boolean): void {
    const { outbox, tuning, random } = this.#needs
    const echo = answers && path.peerNonce !== undefined ? path.peerNonce : emptyBytes
    const ack = this.#needs.ackState()
    outbox.loose(path, [{ type: 'hello', relayId: path.relayId, nonce: path.nonce, echo, ack, planEpoch: this.#needs.planEpoch() }])
    path.hellosSent += 1
    path.helloSentAtMs = nowMs
    const pause = Math.min(firstPauseMs * 2 ** Math.min(path.hellosSent - 1, 10), tuning.helloPauseMaxMs)
    path.nextHelloAtMs = nowMs + pause * (0.75 + random() / 2)
  }

  /** Whether the hello answers one of ours that is not older than `freshMs`. */
  answers(nowMs: number, path: Path, hello: HelloFrame, freshMs: number): boolean {
    return nowMs - path.helloSentAtMs <= freshMs && hello.echo.length > 0 && equalBytes(hello.echo, path.nonce)
  }

  /** @returns whether the echo validated the path just now. The caller takes the ack state in, in any case. */
  onHello(nowMs: number, path: Path, hello: HelloFrame): boolean {
    const isNew = path.peerNonce === undefined || !equalBytes(path.peerNonce, hello.nonce)
    path.peerNonce = hello.nonce
    const echoed = hello.echo.length > 0 && equalBytes(hello.echo, path.nonce)
    const validated = echoed && !path.open
    if (validated && path.hellosSent === 1) path.rtt.sample(nowMs, nowMs - path.helloSentAtMs)
    if (validated) path.state = 'open'
    if (isNew || !echoed) this.send(nowMs, path, true)
    return validated
  }
}
