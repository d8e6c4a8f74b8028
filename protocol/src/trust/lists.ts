/** The signed lists of a mesh: which relays there are, and which users. */

import { RelayListSchema, UserListSchema } from '../control/gen/sennit/v1/trust_pb.ts'
import { type CryptoProvider, keyBytes } from '../crypto.ts'
import { ProtocolError, SennitError } from '../errors.ts'
import { isName } from './names.ts'
import { knownTraits } from './relay-traits.ts'
import { numberOf, type Opened, open, sign, signatureContext } from './signature.ts'
import type { MeshTrust, RelayEntry, RelayList, RelayTraits, UserEntry, UserList } from './types.ts'

/** Some 4 000 relays or 150 000 users; a bigger mesh wants a directory, not a file. */
export const listBytesMax = 8_388_608

/** Signs a relay list with the list signer's private key. */
export function signRelayList(crypto: CryptoProvider, signerPrivateKey: Uint8Array, meshId: string, list: RelayList): Uint8Array {
  return sign(crypto, signerPrivateKey, signatureContext.relayList, RelayListSchema, {
    meshId,
    version: BigInt(list.version),
    expiresMs: BigInt(list.expiresMs),
    relays: list.relays.map((relay) => ({ ...relay, urls: [...relay.urls] })),
  })
}

/**
 * What a relay list says, once its mesh, signature and time are right.
 * @throws SennitError `list_foreign`, `list_forged`, `list_expired`
 * @throws ProtocolError `malformed`
 */
export function verifyRelayList(trust: MeshTrust, bytes: Uint8Array, nowMs: number, crypto: CryptoProvider): RelayList {
  checkSize(bytes)
  const opened = open('a relay list', RelayListSchema, bytes)
  const verified = opened.verify(crypto, trust.listSignerKey, signatureContext.relayList)
  const { version, expiresMs } = checkList('relay list', trust, opened.body, verified, nowMs)
  const relays = opened.body.relays.map((relay): RelayEntry => {
    if (!isName(relay.relayId)) throw new ProtocolError('malformed', 'expected a relay id in the relay list, found something else', {})
    if (relay.key !== undefined && relay.key.length !== keyBytes)
      throw new ProtocolError('malformed', `expected keys of ${keyBytes} bytes`, {})
    return {
      relayId: relay.relayId,
      urls: relay.urls,
      ...(relay.key === undefined ? {} : { key: relay.key }),
      ...(relay.failureDomain === undefined ? {} : { failureDomain: relay.failureDomain }),
      ...(relay.zone === undefined ? {} : { zone: relay.zone }),
      ...(relay.traits === undefined ? {} : { traits: traitsOf(relay.traits) }),
      ...(relay.draining ? { draining: true } : {}),
    }
  })
  return { version, expiresMs, relays }
}

/** Only what is a number of its kind: a trait that is not says nothing, it does not spoil the list. */
function traitsOf(traits: { readonly [Name in keyof RelayTraits]: RelayTraits[Name] | undefined }): RelayTraits {
  const { region, price, securityRating, uptime, speedMbps, qos } = traits
  const within = (value: number | undefined, max: number): number | undefined =>
    value !== undefined && value >= 0 && value <= max ? value : undefined
  return knownTraits({
    region: region !== undefined && isName(region) ? region : undefined,
    price: within(price, 1e9),
    securityRating: within(securityRating, 100),
    uptime: within(uptime, 1),
    speedMbps: within(speedMbps, 1e9),
    qos: within(qos, 9),
  })
}

/** Signs a user list with the list signer's private key. */
export function signUserList(crypto: CryptoProvider, signerPrivateKey: Uint8Array, meshId: string, list: UserList): Uint8Array {
  return sign(crypto, signerPrivateKey, signatureContext.userList, UserListSchema, {
    meshId,
    version: BigInt(list.version),
    expiresMs: BigInt(list.expiresMs),
    users: list.users.map((user) => ({ ...user })),
  })
}

/**
 * What a user list says, once its mesh, signature and time are right.
 * @throws SennitError `list_foreign`, `list_forged`, `list_expired`
 * @throws ProtocolError `malformed`
 */
export function verifyUserList(trust: MeshTrust, bytes: Uint8Array, nowMs: number, crypto: CryptoProvider): UserList {
  checkSize(bytes)
  const opened = open('a user list', UserListSchema, bytes)
  const verified = opened.verify(crypto, trust.listSignerKey, signatureContext.userList)
  const { version, expiresMs } = checkList('user list', trust, opened.body, verified, nowMs)
  const users = opened.body.users.map(({ user, epoch, revoked }): UserEntry => {
    if (!isName(user)) throw new ProtocolError('malformed', 'expected a user name in the user list, found something else', {})
    return { user, epoch, revoked }
  })
  return { version, expiresMs, users }
}

type AnyList = Opened<typeof RelayListSchema>['body'] | Opened<typeof UserListSchema>['body']

function checkList(
  what: string,
  trust: MeshTrust,
  body: AnyList,
  verified: boolean,
  nowMs: number,
): { version: number; expiresMs: number } {
  if (body.meshId !== trust.meshId) {
    throw new SennitError('list_foreign', `expected the ${what} of mesh ${trust.meshId}, found one of another mesh`, { found: body.meshId })
  }
  if (!verified) throw new SennitError('list_forged', `expected the list signer's signature on the ${what}, found one that is not`, {})
  const expiresMs = numberOf(body.expiresMs)
  if (nowMs >= expiresMs) {
    throw new SennitError('list_expired', `the ${what} ended ${Math.round((nowMs - expiresMs) / 1000)} s ago; a fresh one is needed`, {
      nowMs,
      expiresMs,
    })
  }
  return { version: numberOf(body.version), expiresMs }
}

function checkSize(bytes: Uint8Array): void {
  if (bytes.length > listBytesMax) {
    throw new ProtocolError('malformed', `expected a list of at most ${listBytesMax} bytes, found ${bytes.length}`, {})
  }
}
