/** Ed25519 signatures bound to a context, so that a signature over one kind of document never passes for another kind. */

import { create, type DescMessage, fromBinary, type MessageInitShape, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { concat, equalBytes, utf8 } from '../bytes.ts'
import { SignedSchema } from '../control/gen/sennit/v1/trust_pb.ts'
import type { CryptoProvider } from '../crypto.ts'
import { ProtocolError } from '../errors.ts'

/** What is signed: each kind of document has its own context. */
export const signatureContext = {
  issuer: 'sennit issuer 1',
  user: 'sennit user certificate 1',
  relay: 'sennit relay certificate 1',
  relayList: 'sennit relay list 1',
  userList: 'sennit user list 1',
} as const

type Context = (typeof signatureContext)[keyof typeof signatureContext]

/** Encodes `body`, signs it in `context`, and returns the encoded Signed. */
export function sign<T extends DescMessage>(
  crypto: CryptoProvider,
  privateKey: Uint8Array,
  context: Context,
  schema: T,
  body: MessageInitShape<T>,
): Uint8Array {
  const bytes = toBinary(schema, create(schema, body))
  const signature = crypto.ed25519Sign(privateKey, signedBytes(context, bytes))
  return toBinary(SignedSchema, create(SignedSchema, { body: bytes, signature }))
}

/** A Signed that was taken apart, its signature not checked yet. */
export interface Opened<T extends DescMessage> {
  readonly body: MessageShape<T>
  verify(crypto: CryptoProvider, publicKey: Uint8Array, context: Context): boolean
}

/** Takes a Signed apart. @throws ProtocolError `malformed` */
export function open<T extends DescMessage>(what: string, schema: T, bytes: Uint8Array): Opened<T> {
  try {
    const signed = fromBinary(SignedSchema, bytes)
    // The envelope itself is not signed, so only its one canonical spelling is taken: a document has one form, byte for byte.
    const { body, signature } = signed
    if (!equalBytes(toBinary(SignedSchema, create(SignedSchema, { body, signature })), bytes)) throw new Error('not the canonical encoding')
    return {
      body: fromBinary(schema, signed.body),
      verify: (crypto, publicKey, context) => crypto.ed25519Verify(publicKey, signedBytes(context, signed.body), signed.signature),
    }
  } catch (cause) {
    throw new ProtocolError('malformed', `expected ${what}, found bytes that are none`, { bytes: bytes.length }, cause)
  }
}

/** A uint64 as a number; times and versions past 2⁵³ are nobody's. @throws ProtocolError `malformed` */
export function numberOf(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ProtocolError('malformed', 'expected a number under 2^53', {})
  return Number(value)
}

function signedBytes(context: Context, body: Uint8Array): Uint8Array {
  return concat([utf8(context), new Uint8Array(1), body])
}
