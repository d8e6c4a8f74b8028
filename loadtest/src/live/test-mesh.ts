// The mesh of one run: made in a scratch folder for relays that the test set starts itself, or one that runs already.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RelayEntry, SennitError, signRelayList, traitsOfWords } from '@sennit/protocol'
import {
  addUsers,
  freePorts,
  initMesh,
  loopbackLimits,
  nodeCrypto,
  readKeyFile,
  readMeshTrust,
  readRelayList,
  type UserOptions,
} from '@sennit/protocol/node'
import type { Plan } from '../plan.ts'

export interface TestMesh {
  readonly dir: string
  readonly entries: readonly RelayEntry[]
  /** Credential file by user name. */
  readonly credentials: ReadonlyMap<string, string>
  /** Users that were added for the run; absent: it is not known. */
  readonly added?: readonly string[]
  /** Lists of relays, signed as the mesh's own is. @throws SennitError when this mesh cannot sign */
  signLists(version: number, lists: readonly (readonly RelayEntry[])[]): Promise<readonly Uint8Array[]>
  /** Removes what was made for the run. A mesh that was there before stays, with the users that were added. */
  dispose(): void
}

/** Lists are made for a run and end with it. */
const listLifeMs = 24 * 3_600_000

/** As old as a mesh in use: clocks that a fault sets back find its certificates valid, as they would there. */
function yesterday(): number {
  return Date.now() - 24 * 3_600_000
}

/** Makes a mesh with the plan's relays and a credential for each of its users. */
export async function makeTestMesh(plan: Plan): Promise<TestMesh> {
  const dir = mkdtempSync(join(tmpdir(), 'sennit-test-mesh-'))
  try {
    const ports = await freePorts(plan.relays.length * 2)
    const relays = plan.relays.map((relay, index) => ({
      relayId: relay.relay,
      url: `http://127.0.0.1:${ports[index * 2]}`,
      listen: `127.0.0.1:${ports[index * 2]}`,
      admin: `127.0.0.1:${ports[index * 2 + 1]}`,
      zone: relay.zone,
      failureDomain: relay.failureDomain,
      ...(relay.config?.limits === undefined ? {} : { limits: { ...loopbackLimits, ...relay.config.limits } }),
      ...(relay.config?.traits === undefined ? {} : { traits: traitsOfWords(relay.config.traits) }),
    }))
    await initMesh(dir, { relays, nowMs: yesterday() })
    return await openTestMesh(plan, dir, () => rmSync(dir, { recursive: true, force: true }), { nowMs: yesterday(), durable: false })
  } catch (error) {
    rmSync(dir, { recursive: true, force: true })
    throw error
  }
}

/** Only where the mesh's list signer key lies in its directory. */
function signedRelayList(dir: string, version: number, relays: readonly RelayEntry[]): Uint8Array {
  const trust = readMeshTrust(join(dir, 'mesh.json'))
  const { privateKey } = readKeyFile(join(dir, 'issuers', 'list.key'))
  return signRelayList(nodeCrypto(), privateKey, trust.meshId, { version, expiresMs: Date.now() + listLifeMs, relays })
}

/** Uses a mesh that runs already; users the plan names and it lacks are added. */
export async function openTestMesh(
  plan: Plan,
  dir: string,
  dispose: () => void = () => {},
  users: Pick<UserOptions, 'nowMs' | 'durable'> = {},
): Promise<TestMesh> {
  const trust = await readMeshTrust(join(dir, 'mesh.json'))
  const list = await readRelayList(join(dir, 'relays.list'), trust)
  const unknown = plan.relays.filter((relay) => !list.relays.some((entry) => entry.relayId === relay.relay))
  if (unknown.length > 0) {
    throw new SennitError(
      'mesh_unreadable',
      `expected the relays of the workbook in ${dir}; it has ${list.relays.map((one) => one.relayId).join(', ')} and lacks ${unknown.map((one) => one.relay).join(', ')}`,
    )
  }
  const credentials = new Map<string, string>()
  for (const user of new Set(plan.clients.map((client) => client.user))) credentials.set(user, join(dir, 'users', `${user}.cred`))
  const missing = [...credentials].flatMap(([user, file]) => (existsSync(file) ? [] : [user]))
  await addUsers(dir, missing, users)
  const signLists: TestMesh['signLists'] = async (version, lists) => lists.map((relays) => signedRelayList(dir, version, relays))
  return { dir, entries: list.relays, credentials, added: missing, signLists, dispose }
}
