/**
 * The way into a relay, for those of whom nobody knows yet who they are: sockets within the limits of their addresses, a hop link for each that
 * begins to shake hands, cookies under load, and the credential at the end. Who has proved itself is through it.
 */
import { CookieJar, type Credential, type CredentialVerdict, HopLink, SennitError, verifyUserCertificate } from '@sennit/protocol'
import { Admission, type AdmissionRefusal, addressGroup } from './admission.ts'
import { type Attachment, newAttachment } from './attachment.ts'
import type { Counters } from './counters.ts'
import type { RelayLimits } from './limits.ts'
import type { CarrierFacts, RelayMachineOptions } from './options.ts'
import type { UserShares } from './user-shares.ts'
import type { UsersInForce } from './users-in-force.ts'

export interface DoorContext {
  readonly options: RelayMachineOptions
  readonly limits: RelayLimits
  readonly refusals: Counters
  readonly users: UsersInForce
  readonly shares: UserShares
  /** The relay takes nobody new. */
  isDraining(): boolean
}

/** The link's own write deadline stands behind the machine's, which knows of progress inside one write. */
const linkWriteStallMs = 120_000

export class Door {
  private readonly context: DoorContext
  private readonly admission: Admission
  private readonly cookies: CookieJar
  /** The oldest first. */
  private readonly unproved = new Set<Attachment>()
  private busy = false

  constructor(context: DoorContext) {
    this.context = context
    this.admission = new Admission(context.limits)
    this.cookies = new CookieJar(
      context.options.crypto,
      () => this.busy,
      () => context.refusals.add('cookie_asked'),
    )
  }

  /** Sockets that have not proved themselves. */
  get open(): number {
    return this.admission.open
  }

  /** Who has not proved itself for the longest time. */
  get oldest(): Attachment | undefined {
    const [oldest] = this.unproved
    return oldest
  }

  /** Under load a first handshake message costs a cookie and nothing else; who brings it back gets in. @returns whether that is new */
  setBusy(busy: boolean): boolean {
    const changes = this.busy !== busy
    this.busy = busy
    return changes
  }

  /** A socket came; undefined when it may stay. */
  socketOpened(nowMs: number, address: string): AdmissionRefusal | undefined {
    const refusal = this.admission.enter(nowMs, address)
    if (refusal !== undefined) this.context.refusals.add(refusal)
    return refusal
  }

  /** A socket that entered ended without an attachment; `refusal` says why, for the count. */
  socketClosed(nowMs: number, address: string, refusal?: string): void {
    this.admission.leave(nowMs, address, false)
    if (refusal !== undefined) this.context.refusals.add(refusal)
  }

  /** A socket that entered belongs to a known attachment. */
  socketProved(nowMs: number, address: string): void {
    this.admission.leave(nowMs, address, true)
  }

  /** A carrier is open. @param attachments how many there are @returns its attachment, or why there is none */
  accept(nowMs: number, key: number, { carrier, address, counted }: CarrierFacts, attachments: number): Attachment | string {
    const { limits, refusals, isDraining } = this.context
    const refusal = counted === true ? undefined : this.admission.enter(nowMs, address)
    const reason = refusal ?? (attachments >= limits.attachments ? 'attachments' : isDraining() ? 'draining' : undefined)
    if (reason !== undefined) {
      if (refusal === undefined) this.admission.leave(nowMs, address, false)
      refusals.add(reason)
      return reason
    }
    const link = this.newLink(carrier, address)
    // Its time to shake hands runs from here: who never says a word has no first byte that could start it.
    link.wake(nowMs)
    const attachment = newAttachment(key, carrier, address, link)
    this.unproved.add(attachment)
    return attachment
  }

  /** It has proved who it is. */
  proved(nowMs: number, attachment: Attachment): void {
    this.unproved.delete(attachment)
    this.admission.leave(nowMs, attachment.address, true)
  }

  /** It is gone, maybe without having proved anything. */
  ended(nowMs: number, attachment: Attachment): void {
    if (this.unproved.delete(attachment)) this.admission.leave(nowMs, attachment.address, false)
  }

  private newLink(carrier: string, address: string): HopLink {
    const { crypto, random, identity, trust, software } = this.context.options
    return new HopLink({
      role: 'responder',
      cookies: this.cookies.of(addressGroup(address)),
      crypto,
      random,
      meshId: trust.meshId,
      carrier,
      software: software ?? 'sennit-relay/0.1.0',
      trust,
      relayIdentity: identity,
      writeStallMs: linkWriteStallMs,
      verifyCredential: (credential, _hopKey, atMs) => this.verify(credential, atMs),
    })
  }

  private verify(credential: Credential, nowMs: number): CredentialVerdict {
    if (credential.type !== 'certificate') return { refuse: 'not_yet', message: `credentials of type ${credential.type} are not taken yet` }
    const { options, users, shares, isDraining } = this.context
    if (isDraining()) return { refuse: 'draining', message: 'the relay is going away' }
    try {
      const { user, applications, epoch } = verifyUserCertificate(options.trust, credential.certificate, nowMs, options.crypto)
      const refusal = users.refusalOf(user, epoch)
      if (refusal !== undefined) return refusal
      if (shares.isFull(user, 'attachments')) return { refuse: 'limit', message: `user ${user} has too many attachments` }
      return { user, applications }
    } catch (cause) {
      if (cause instanceof SennitError) return { refuse: cause.code, message: cause.message }
      throw cause
    }
  }
}
