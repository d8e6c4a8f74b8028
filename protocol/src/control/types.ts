/** Control messages between a client and a relay, as the machines see them. `proto/sennit/v1/control.proto` is their wire form. */

/** Why a listening was refused. A code of a newer relay may be another one; treat it as a refusal. */
export type ListenRefusedCode = 'name_taken' | 'not_allowed' | 'limit' | 'both_passive'

/** What a relay answers to `connect` when it does not connect. `wait` keeps the request held, all others end it. */
export type ResultCode = 'self' | 'not_registered' | 'exists' | 'both_passive' | 'wait' | 'not_allowed' | 'rejected' | 'limit'

/** One control message of an attachment. */
export type HopControl =
  // client → relay
  | { readonly type: 'listen'; readonly listenId: number; readonly application: string /** `*`, or one user. */; readonly from: string }
  | { readonly type: 'unlisten'; readonly listenId: number }
  | {
      readonly type: 'connect'
      readonly requestId: number
      readonly user: string
      readonly label: string
      readonly application: string
      readonly connectionId: Uint8Array
      readonly attempt: number
      readonly instance: Uint8Array
      readonly previous?: Uint8Array
      readonly handshake: Uint8Array
    }
  | { readonly type: 'cancel'; readonly requestId: number }
  | { readonly type: 'answer'; readonly offerId: number; readonly handshake: Uint8Array }
  | { readonly type: 'reject'; readonly offerId: number; readonly code: string }
  | { readonly type: 'join'; readonly joinId: number; readonly tag: Uint8Array; readonly user: string; readonly label: string }
  | { readonly type: 'leave'; readonly joinId: number }
  /** The circuit, which began with a call, is the path of this tag: a `join` of it on another attachment of the same client replaces it. */
  | { readonly type: 'circuitTag'; readonly circuit: number; readonly tag: Uint8Array }
  /** Asks for every signed relay list newer than `version`, now and later; 0 when there is none. */
  | { readonly type: 'relayListWanted'; readonly version: number }
  // both ways
  | { readonly type: 'circuitClose'; readonly circuit: number; readonly reason: string }
  | { readonly type: 'ping'; readonly nonce: number }
  | { readonly type: 'pong'; readonly nonce: number }
  | { readonly type: 'close'; readonly code: string; readonly message: string }
  // relay → client
  | { readonly type: 'listening'; readonly listenId: number }
  | { readonly type: 'listenRefused'; readonly listenId: number; readonly code: ListenRefusedCode; readonly message: string }
  | {
      readonly type: 'offer'
      readonly offerId: number
      readonly listenId: number
      readonly user: string
      readonly label: string
      readonly application: string
      readonly connectionId: Uint8Array
      readonly attempt: number
      readonly instance: Uint8Array
      readonly previous?: Uint8Array
      readonly handshake: Uint8Array
    }
  | { readonly type: 'opened'; readonly offerId: number; readonly circuit: number; readonly credit: number }
  | {
      readonly type: 'connected'
      readonly requestId: number
      readonly circuit: number
      readonly credit: number
      readonly handshake: Uint8Array
    }
  | { readonly type: 'result'; readonly requestId: number; readonly code: ResultCode; readonly message: string }
  | { readonly type: 'joined'; readonly joinId: number; readonly circuit: number; readonly credit: number }
  | { readonly type: 'joinRefused'; readonly joinId: number; readonly code: string }
  | {
      readonly type: 'circuitCredit'
      readonly circuit: number
      /** Absolute payload bytes the source may have sent on it. */
      readonly limit: number
      readonly wait: boolean
    }
  | { readonly type: 'drain'; readonly withinMs: number; readonly spreadMs: number }
  /** The relay's first record after an XX handshake; handled inside HopLink. */
  | { readonly type: 'welcome'; readonly attachmentId: Uint8Array }
  /** A part of the relay's signed relay list, in order; whoever takes the list checks it. */
  | { readonly type: 'relayListPart'; readonly version: number; readonly offset: number; readonly total: number; readonly data: Uint8Array }
  /** What the relay says of its own delay; it can only make it less attractive. */
  | { readonly type: 'load'; readonly queueMs: number }
  /** The relay is over its limit: use others for `forMs`, if there are any. Which ones is the client's choice. */
  | { readonly type: 'makeRoom'; readonly withinMs: number; readonly spreadMs: number; readonly forMs: number }
