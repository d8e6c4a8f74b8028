// The users of a mesh on disk: credentials made, renewed and revoked, and the list of those there are.
import { join } from 'node:path'
import type { CryptoProvider } from '../crypto.ts'
import { SennitError } from '../errors.ts'
import { certificateLifeMs, issueUserCertificate, verifyUserCertificate } from '../trust/certificates.ts'
import { parseMeshTrust } from '../trust/mesh.ts'
import { checkName } from '../trust/names.ts'
import type { MeshTrust, UserEntry } from '../trust/types.ts'
import { readNamedFile } from './atomic-file.ts'
import { nodeCrypto } from './crypto.ts'
import { readCredential, readKeyFile, readMeshTrust, writeCredential } from './key-files.ts'
import { change, clockSkewMs, listLifeMs, readUserList, saveUsers } from './mesh-lists.ts'
import { paths } from './mesh-paths.ts'

export interface UserOptions {
  /** Empty or missing: all. */
  readonly applications?: readonly string[]
  readonly notBeforeMs?: number
  /** @default a year from now */
  readonly notAfterMs?: number
  /** What this user's clients want of relays unless they say otherwise, as text. @default nothing */
  readonly policy?: string
  /** false: the credential file may be gone after a crash of the machine; for thousands of users of a mesh that ends with a test. @default true */
  readonly durable?: boolean
  readonly crypto?: CryptoProvider
  readonly nowMs?: number
}

/**
 * Registers a user, and returns the path of the credential file. A revoked user comes back with a higher epoch, so that what was taken
 * stays worthless.
 * @throws SennitError `user_exists`, `bad_name`
 */
export async function addUser(directory: string, name: string, options: UserOptions = {}): Promise<string> {
  const [file] = (await addUsers(directory, [name], options)).values()
  return file!
}

/** So many users are registered while nobody else may write in the directory: a second or two. */
const usersAtOnceMax = 250

/**
 * As {@link addUser} for many: the list of users is read, checked and signed once for some hundreds of them. Returns the credential file of each.
 * @throws SennitError `user_exists`, `bad_name`; of the names before, some may be registered by then
 */
export async function addUsers(directory: string, names: readonly string[], options: UserOptions = {}): Promise<Map<string, string>> {
  const { crypto = nodeCrypto(), nowMs = Date.now(), applications = [] } = options
  const wanted = [...new Set(names)].map((name) => checkName('a user name', name))
  const files = new Map<string, string>()
  for (let from = 0; from < wanted.length; from += usersAtOnceMax) {
    await change(directory, () => {
      const document = readNamedFile(paths(directory).mesh, 'a mesh document')
      const trust = parseMeshTrust(document, crypto, nowMs)
      const list = readUserList(paths(directory).users, trust, crypto, nowMs)
      const users = new Map(list.users.map((entry) => [entry.user, entry]))
      const group = wanted.slice(from, from + usersAtOnceMax)
      for (const user of group)
        if (users.get(user)?.revoked === false)
          throw new SennitError('user_exists', `user '${user}' is registered already; revoke it first to give it a new credential`, {
            user,
          })
      const issuer = readKeyFile(paths(directory).userIssuerKey).privateKey
      for (const user of group) {
        const epoch = users.get(user)?.epoch ?? 1
        files.set(user, issueUser(directory, trust, document, issuer, { user, epoch, applications }, { ...options, crypto, nowMs }))
        users.delete(user)
        users.set(user, { user, epoch, revoked: false })
      }
      saveUsers(directory, trust, { version: list.version + 1, expiresMs: nowMs + listLifeMs, users: [...users.values()] }, crypto)
    })
  }
  return files
}

/**
 * Gives a registered user new keys and a new certificate, and returns the path of the credential file, which is replaced. The old certificate holds
 * until its end, so that programs change over one by one; what was stolen is revoked instead. Applications and policy are those of the old
 * credential file unless `options` names applications.
 * @throws SennitError `user_unknown`, `file_unreadable`, `certificate_expired` when the old file is not there or over, and `options` names no applications
 */
export async function renewUser(directory: string, name: string, options: UserOptions = {}): Promise<string> {
  const { crypto = nodeCrypto(), nowMs = Date.now() } = options
  const user = checkName('a user name', name)
  return await change(directory, () => {
    const document = readNamedFile(paths(directory).mesh, 'a mesh document')
    const trust = parseMeshTrust(document, crypto, nowMs)
    const entry = readUserList(paths(directory).users, trust, crypto, nowMs).users.find((one) => one.user === user)
    if (entry === undefined || entry.revoked)
      throw new SennitError('user_unknown', `expected a registered user, found ${entry === undefined ? 'no' : 'the revoked'} '${user}'`, {
        user,
      })
    const subject = { user, epoch: entry.epoch, applications: options.applications ?? [] }
    const issuer = readKeyFile(paths(directory).userIssuerKey).privateKey
    if (options.applications !== undefined) return issueUser(directory, trust, document, issuer, subject, options)
    // What the old file allows must not become more because nobody said it again.
    const { identity, policy } = readCredential(credentialFile(directory, user), crypto, nowMs)
    const { applications } = verifyUserCertificate(trust, identity.certificate, nowMs, crypto)
    return issueUser(
      directory,
      trust,
      document,
      issuer,
      { ...subject, applications },
      { ...(policy === undefined ? {} : { policy }), ...options },
    )
  })
}

/** Takes a user's credential back: relays end its attachments as soon as they read the list. @throws SennitError `user_unknown` */
export async function revokeUser(
  directory: string,
  name: string,
  options: { readonly crypto?: CryptoProvider; readonly nowMs?: number } = {},
): Promise<void> {
  const { crypto = nodeCrypto(), nowMs = Date.now() } = options
  const user = checkName('a user name', name)
  await change(directory, () => {
    const trust = readMeshTrust(paths(directory).mesh, crypto, nowMs)
    const list = readUserList(paths(directory).users, trust, crypto, nowMs)
    const before = list.users.find((entry) => entry.user === user)
    if (before === undefined) throw new SennitError('user_unknown', `expected a registered user, found no '${user}'`, { user })
    if (before.revoked) return
    const users = list.users.map((entry) => (entry.user === user ? { user, epoch: entry.epoch + 1, revoked: true } : entry))
    saveUsers(directory, trust, { version: list.version + 1, expiresMs: nowMs + listLifeMs, users }, crypto)
  })
}

/** The users of a mesh, revoked ones too, by name. */
export async function listUsers(directory: string): Promise<readonly UserEntry[]> {
  const trust = readMeshTrust(paths(directory).mesh)
  const { users } = readUserList(paths(directory).users, trust)
  return await Promise.resolve([...users].sort((left, right) => (left.user < right.user ? -1 : 1)))
}

function credentialFile(directory: string, user: string): string {
  return join(directory, 'users', `${user}.cred`)
}

/** New keys and a certificate for a user. Returns the credential file. */
function issueUser(
  directory: string,
  trust: MeshTrust,
  document: Uint8Array,
  issuer: Uint8Array,
  { user, epoch, applications }: { readonly user: string; readonly epoch: number; readonly applications: readonly string[] },
  { crypto = nodeCrypto(), nowMs = Date.now(), notBeforeMs, notAfterMs, policy, durable }: UserOptions,
): string {
  const identityKey = crypto.generateEd25519()
  const hopKey = crypto.generateX25519()
  const endKey = crypto.generateX25519()
  const certificate = issueUserCertificate(crypto, issuer, {
    meshId: trust.meshId,
    user,
    identityKey: identityKey.publicKey,
    hopKey: hopKey.publicKey,
    endKey: endKey.publicKey,
    applications,
    epoch,
    notBeforeMs: notBeforeMs ?? nowMs - clockSkewMs,
    notAfterMs: notAfterMs ?? nowMs - clockSkewMs + certificateLifeMs,
  })
  const file = credentialFile(directory, user)
  writeCredential(file, document, { user, identityKey, hopKey, endKey, certificate }, policy, durable)
  return file
}
