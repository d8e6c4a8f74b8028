/** The client: opened once per program, it attaches to relays, listens, and makes connections. */

import { checkKeyModes, type KeyMode, type RelayEntry, SennitError } from '@sennit/protocol'
import { nodeCrypto } from '@sennit/protocol/node'
import { ClientMachine } from '../core/client/client-machine.ts'
import type { ClientStatus, RelayAnswer, RelayStatus } from '../core/client/types.ts'
import { parsePaths } from '../core/paths/index.ts'
import type { RelayPolicy } from '../core/plan/policy.ts'
import { Listeners } from './callbacks.ts'
import { dialDeadlines } from './carrier.ts'
import { readCarriers } from './carrier-choice.ts'
import { type ClientCredential, type ClientOptions, checkBind, credentialOf, entriesOf, openDirectory, policyOf } from './client-options.ts'
import { type Compress, compressionFeatures, compressorFor } from './compression.ts'
import { Connection } from './connection.ts'
import { CredentialKeeper } from './credential-keeper.ts'
import { Dialler } from './dial.ts'
import type { RelayDirectory } from './directory/relay-directory.ts'
import { type ApplicationEffect, Driver } from './driver.ts'
import type { ClientEvent } from './events.ts'
import { Listener } from './listener.ts'
import { Opening } from './opening.ts'

/** How long `Client.open` waits for a relay: 5 s cover a user that was just added, and a little for the dial itself. */
const openMsDefault = 6_000

/** How long `close` waits for connections to end in order; what is unconfirmed by then has no path, or a peer that is gone. */
const closeMsDefault = 5_000

/**
 * The last ack of a connection travels to the other end by itself before the attachments go: a relay drops what it still holds for a circuit
 * whose one end has left, and the other end would wait for that ack. One turn of two busy processes and a relay.
 */
const partingMs = 50

export interface ListenOptions {
  /** The application id that others ask for. */
  readonly application: string
  /** Who may connect: one user, or `*` for every registered one. @default '*' */
  readonly from?: string
  /** Key modes to accept of callers; see {@link ClientOptions.keyMode}. @default as the client was opened */
  readonly keyMode?: KeyMode | readonly KeyMode[]
  /** Gives up waiting for the first relay. */
  readonly signal?: AbortSignal
}

export interface ConnectOptions {
  /** `bob`, or `bob/laptop` for one labelled client of his. */
  readonly user: string
  readonly application: string
  /** How the connection uses its relays, such as `mirror(2)`; see docs/client.md. @default as the client was opened */
  readonly paths?: string
  /** Who may read what is sent; see {@link ClientOptions.keyMode}. The other end must accept it too. @default as the client was opened */
  readonly keyMode?: KeyMode | readonly KeyMode[]
  /** Compresses messages; see {@link ClientOptions.compress}. @default as the client was opened */
  readonly compress?: Compress
  /** Which relays the connection wants; what it names takes the place of what the client's policy names. @default the client's */
  readonly policy?: string | RelayPolicy
  /** How long to wait for the other end to be there, in milliseconds. @default 30 000 */
  readonly waitMs?: number
  /** Gives the call up. */
  readonly signal?: AbortSignal
}

interface Pending<T> {
  resolve(value: T): void
  reject(error: unknown): void
}

/** A client of the mesh. It keeps the process alive until `close`. */
export class Client {
  readonly #machine: ClientMachine
  readonly #driver: Driver
  readonly #events = new Listeners<ClientEvent>()
  readonly #connections = new Map<number, Connection>()
  readonly #listeners = new Map<number, Listener>()
  readonly #listening = new Map<number, Pending<void>>()
  readonly #connecting = new Map<number, Pending<Connection>>()
  readonly #opening = new Opening()
  readonly #compress: Compress | undefined
  /** What calls said of it. */
  readonly #compressOf = new Map<number, Compress>()
  readonly #directory: RelayDirectory | undefined
  readonly #keeper: CredentialKeeper
  #state: 'open' | 'closing' | 'closed' = 'open'
  #closing: Promise<void> | undefined
  #lastEndAtMs = Number.NEGATIVE_INFINITY

  private constructor(options: ClientOptions, { trust, identity, policy }: ClientCredential, directory: RelayDirectory | undefined) {
    const relays = directory?.relays ?? entriesOf(options) ?? []
    this.#directory = directory
    if (relays.length === 0) throw new SennitError('no_relay', 'expected a list with at least one relay, found an empty one')
    const { label, software, streams, tuning, connectionTuning, attach, paths } = options
    this.#machine = new ClientMachine({
      crypto: nodeCrypto(),
      random: Math.random,
      identity,
      trust,
      relays,
      ...readCarriers(options.carriers, relays),
      ...(options.bind === undefined ? {} : { localAddresses: checkBind(options.bind) }),
      lentChunks: true,
      ...(label === undefined ? {} : { label }),
      ...(software === undefined ? {} : { software }),
      ...(streams === undefined ? {} : { streams }),
      ...(tuning === undefined ? {} : { tuning }),
      ...(connectionTuning === undefined ? {} : { connectionTuning }),
      ...(attach === undefined ? {} : { attach }),
      policy: policyOf(policy, options.policy),
      ...(directory === undefined ? {} : { listVersion: directory.version }),
      ...(paths === undefined ? {} : { paths: parsePaths(paths) }),
      ...keyModesOf(options),
      features: compressionFeatures(options.compress),
    })
    this.#compress = options.compress
    const dialler = new Dialler()
    const { proxy, env, tls, dialThrough, deadlines, now } = options
    this.#driver = new Driver({
      machine: this.#machine,
      ...(now === undefined ? {} : { now }),
      onEffect: (effect) => this.#onEffect(effect),
      dial: ({ url, relayId, carrier, localAddress, first }, events) =>
        dialler.dial(
          {
            url: dialThrough?.(url, relayId, localAddress) ?? url,
            ...(localAddress === undefined ? {} : { localAddress }),
            carrier,
            first,
            proxy: { ...(proxy === undefined ? {} : { proxy }), ...(env === undefined ? {} : { env }) },
            deadlines: deadlines ?? dialDeadlines,
            ...(tls === undefined ? {} : { tls }),
          },
          events,
        ),
    })
    this.#keeper = new CredentialKeeper({
      file: typeof options.credential === 'string' ? options.credential : undefined,
      trust,
      identity,
      now: now ?? Date.now,
      take: (offered) => this.#driver.act((nowMs) => this.#machine.renew(nowMs, offered)),
      tell: (event) => this.#events.emit(event),
    })
  }

  /**
   * Opens a client and waits until it is attached to a relay.
   * @throws SennitError `no_relay` when none answered in `openMs` (facts: what each said); when all refuse for one reason, that reason
   *   (`certificate_expired`, `not_registered`, …); `credential_*`, `certificate_*` and others when a file cannot be used
   */
  static async open(options: ClientOptions): Promise<Client> {
    const credential = credentialOf(options)
    const directory = entriesOf(options) === undefined ? await openDirectory(options, credential.trust) : undefined
    const client = Client.#made(options, credential, directory)
    try {
      client.#driver.act(() => {})
      client.#events.hold(directory?.takeEarly() ?? [])
      directory?.watch({
        changed: (relays, version) => client.#relaysChanged(relays, version),
        event: (event) => client.#events.emit(event),
      })
      const openMs = options.openMs ?? openMsDefault
      if (openMs > 0) await client.#opening.wait(openMs, () => client.relays())
    } catch (error) {
      await client.close()
      throw error
    }
    return client
  }

  /**
   * Takes connections for an application. Resolves when a relay has taken the listening; it is then kept at every relay, whatever happens to it.
   * @throws SennitError with the relays' reason: `name_taken` (another client of this name listens), `not_allowed`, `limit`, `both_passive`
   */
  listen(options: ListenOptions): Promise<Listener> {
    const { application, from = '*', signal } = options
    return new Promise((resolve, reject) => {
      this.#check()
      const modes = keyModesOf(options)
      signal?.throwIfAborted()
      const handle = this.#driver.act((nowMs) => this.#machine.listen(nowMs, { application, from, ...modes }))
      const unlisten = (): void => {
        this.#listeners.delete(handle)
        this.#listening.delete(handle)
        if (this.#state === 'open') this.#driver.act((nowMs) => this.#machine.unlisten(nowMs, handle))
      }
      const listener = new Listener(application, from, unlisten)
      this.#listeners.set(handle, listener)
      const onAbort = (): void => {
        unlisten()
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      const settled = (): void => signal?.removeEventListener('abort', onAbort)
      this.#listening.set(handle, {
        resolve: () => {
          settled()
          resolve(listener)
        },
        reject: (error) => {
          settled()
          reject(error)
        },
      })
    })
  }

  /**
   * Connects to a user's application, waiting for the other end to be there.
   * @throws SennitError `no_peer` or `no_relay` when the wait is over (facts: what each relay said), `connect_timeout`, `self`,
   *   `not_registered`, `not_allowed`, `exists`, `both_passive`, `rejected`, `bad_paths`, `bad_policy`, `key_mode_mismatch`, `bad_key_mode`, or why the two ends
   *   do not trust each other
   */
  connect(options: ConnectOptions): Promise<Connection> {
    const { application, waitMs, signal, compress } = options
    const [user = '', label] = options.user.split('/', 2)
    return new Promise((resolve, reject) => {
      this.#check()
      const modes = keyModesOf(options)
      const paths = options.paths === undefined ? undefined : parsePaths(options.paths)
      signal?.throwIfAborted()
      const handle = this.#driver.act((nowMs) =>
        this.#machine.connect(nowMs, {
          user,
          application,
          ...(label === undefined ? {} : { label }),
          ...modes,
          ...(compress === undefined ? {} : { features: compressionFeatures(compress) }),
          ...(paths === undefined ? {} : { paths }),
          ...(options.policy === undefined ? {} : { policy: policyOf(undefined, options.policy) }),
          ...(waitMs === undefined ? {} : { waitMs }),
        }),
      )
      if (compress !== undefined) this.#compressOf.set(handle, compress)
      const onAbort = (): void => {
        this.#connecting.delete(handle)
        this.#compressOf.delete(handle)
        if (this.#state === 'open') this.#driver.act((nowMs) => this.#machine.cancel(nowMs, handle))
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      const settled = (): void => signal?.removeEventListener('abort', onAbort)
      this.#connecting.set(handle, {
        resolve: (connection) => {
          settled()
          resolve(connection)
        },
        reject: (error) => {
          settled()
          reject(error)
        },
      })
    })
  }

  /**
   * Goes by another credential of its user from now on: every handshake that begins uses it. What runs goes on; relays end an attachment that was made with the old one when that one's
   * certificate ends, and it is made anew. A credential that is a file is watched, and needs no call.
   * @throws SennitError `name_mismatch` (another user), `certificate_*` (`certificate_foreign`: another mesh), `key_mismatch`, and whatever the reader
   *   of the file says; the old one stays then
   */
  renew(credential: string | ClientCredential): void {
    this.#check()
    this.#keeper.renew(credentialOf({ credential }).identity)
  }

  /** What the client is attached and connected to now, and why these relays. */
  status(): ClientStatus {
    return this.#machine.status()
  }

  /** Every relay of the list, with what is known about it. */
  relays(): RelayStatus[] {
    return this.#machine.relays()
  }

  /** Listens to events; see {@link ClientEvent}. @returns a function that stops it */
  on(listener: (event: ClientEvent) => void): () => void {
    return this.#events.add(listener)
  }

  /**
   * Ends listenings, closes connections in order (`waitMs` for all of them together, then what is left is aborted), leaves the relays. After it
   * the client holds no timer and no socket. The second call waits for the first. @param options.waitMs @default 5 000
   */
  close(options: { readonly waitMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.waitMs ?? closeMsDefault)
    return this.#closing
  }

  async #close(waitMs: number): Promise<void> {
    this.#state = 'closing'
    this.#directory?.close()
    this.#keeper.close()
    await undefined // out of the callback that may have called us: the last effects are carried out between two drains
    const over = new SennitError('client_closed', 'the client was closed')
    for (const pending of [...this.#listening.values(), ...this.#connecting.values()]) pending.reject(over)
    this.#listening.clear()
    this.#connecting.clear()
    for (const listener of [...this.#listeners.values()]) listener.end()
    if (this.#connections.size > 0) {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, waitMs)
      })
      await Promise.race([late, Promise.allSettled([...this.#connections.values()].map((connection) => connection.close()))])
      clearTimeout(timer)
    }
    const restMs = partingMs - (performance.now() - this.#lastEndAtMs)
    if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs))
    this.#driver.act((nowMs) => this.#machine.close(nowMs))
    this.#driver.finish()
    this.#state = 'closed'
    for (const connection of this.#connections.values()) {
      connection.end({ code: 'aborted', message: 'the client was closed', remote: false, counts: [] })
    }
    this.#connections.clear()
  }

  /** What the options say wrongly is found out here, and then the directory holds nothing open. */
  static #made(options: ClientOptions, credential: ClientCredential, directory: RelayDirectory | undefined): Client {
    try {
      return new Client(options, credential, directory)
    } catch (error) {
      directory?.close()
      throw error
    }
  }

  #relaysChanged(relays: readonly RelayEntry[], version: number): void {
    if (this.#state === 'open') this.#driver.act((nowMs) => this.#machine.relaysChanged(nowMs, relays, version))
  }

  #check(): void {
    if (this.#state !== 'open') throw new SennitError('client_closed', 'the client was closed')
  }

  #onEffect(effect: ApplicationEffect): void {
    switch (effect.type) {
      case 'streamEvent':
        this.#connections.get(effect.handle)?.streamEvent(effect.event)
        return
      case 'datagram':
        this.#connections.get(effect.handle)?.datagramEvent(effect.data)
        return
      case 'connectionEvent':
        this.#connections.get(effect.handle)?.machineEvent(effect.event)
        return
      case 'connection':
        this.#connected(effect)
        return
      case 'connectFailed': {
        const pending = this.#connecting.get(effect.connectHandle)
        this.#connecting.delete(effect.connectHandle)
        this.#compressOf.delete(effect.connectHandle)
        pending?.reject(refusal(effect))
        return
      }
      case 'connectionClosed': {
        const { code, message, remote, counts } = effect
        const connection = this.#connections.get(effect.handle)
        this.#connections.delete(effect.handle)
        this.#lastEndAtMs = performance.now()
        connection?.end({ code, message, remote, counts })
        return
      }
      case 'listening': {
        const pending = this.#listening.get(effect.handle)
        this.#listening.delete(effect.handle)
        pending?.resolve()
        return
      }
      case 'listenFailed': {
        const pending = this.#listening.get(effect.handle)
        const error = refusal(effect)
        this.#listening.delete(effect.handle)
        this.#listeners.get(effect.handle)?.end(error)
        this.#listeners.delete(effect.handle)
        pending?.reject(error)
        return
      }
      case 'relayList':
        this.#directory?.handedOut(effect.relayId, effect.signed)
        return
      case 'event':
        this.#opening.hear(effect.event)
        this.#events.emit(effect.event)
    }
  }

  #connected(effect: Extract<ApplicationEffect, { type: 'connection' }>): void {
    const { handle, id, peer, application, keyMode, peerFeatures, listenHandle, connectHandle } = effect
    const compress = (connectHandle === undefined ? undefined : this.#compressOf.get(connectHandle)) ?? this.#compress
    if (connectHandle !== undefined) this.#compressOf.delete(connectHandle)
    const machine = this.#machine.connection(handle)
    if (machine === undefined) return
    const driver = this.#driver
    const connection = new Connection(
      {
        machine,
        touch: () => driver.touch(handle),
        touchLater: () => driver.touchLater(handle),
        ping: () => driver.act((nowMs) => this.#machine.ping(nowMs, handle)),
        close: (reason, message) => driver.act((nowMs) => this.#machine.closeConnection(nowMs, handle, reason, message)),
        abort: (reason, message) => driver.act((nowMs) => this.#machine.abortConnection(nowMs, handle, reason, message)),
        setPaths: (paths) => driver.act((nowMs) => this.#machine.setPaths(nowMs, handle, paths)),
        sendDatagram: (data) => driver.act((nowMs) => this.#machine.sendDatagram(nowMs, handle, data)),
        status: () => this.#machine.status().connections.find((each) => each.handle === handle),
      },
      { id, peer, application, keyMode, compressor: compressorFor(compress, peerFeatures) },
    )
    this.#connections.set(handle, connection)
    const caller = connectHandle === undefined ? undefined : this.#connecting.get(connectHandle)
    if (caller !== undefined) {
      this.#connecting.delete(connectHandle!)
      caller.resolve(connection)
      return
    }
    const listener = listenHandle === undefined ? undefined : this.#listeners.get(listenHandle)
    if (listener !== undefined) listener.offer(connection)
    else connection.abort('rejected')
  }
}

/** The option in the machine's own form. @throws SennitError `bad_key_mode` */
function keyModesOf({ keyMode }: { readonly keyMode?: KeyMode | readonly KeyMode[] }): { keyModes?: readonly KeyMode[] } {
  if (keyMode === undefined) return {}
  const keyModes = typeof keyMode === 'string' ? [keyMode] : keyMode
  checkKeyModes(keyModes)
  return { keyModes }
}

function refusal(effect: { code: string; message: string; answers: readonly RelayAnswer[] }): SennitError {
  const answers = effect.answers.map(({ relayId, answer }) => `${relayId}: ${answer}`)
  const message = answers.length === 0 ? effect.message : `${effect.message} (${answers.join('; ')})`
  return new SennitError(effect.code, message, { answers: effect.answers })
}
