// The mesh of one run: made in a scratch folder for relays that the test set starts itself, or one that runs already.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RelayEntry, SennitError } from '@sennit/protocol'
import { addUser, freePorts, initMesh, readMeshTrust, readRelayList } from '@sennit/protocol/node'
import type { Plan } from '../plan.ts'

export interface TestMesh {
  readonly dir: string
  readonly entries: readonly RelayEntry[]
  /** Credential file by user name. */
  readonly credentials: ReadonlyMap<string, string>
  /** Removes what was made for the run. A mesh that was there before stays, with the users that were added. */
  dispose(): void
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
    }))
    await initMesh(dir, { relays })
    return await openTestMesh(plan, dir, () => rmSync(dir, { recursive: true, force: true }))
  } catch (error) {
    rmSync(dir, { recursive: true, force: true })
    throw error
  }
}

/** Uses a mesh that runs already; users the plan names and it lacks are added. */
export async function openTestMesh(plan: Plan, dir: string, dispose: () => void = () => {}): Promise<TestMesh> {
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
  for (const user of new Set(plan.clients.map((client) => client.user))) {
    const file = join(dir, 'users', `${user}.cred`)
    credentials.set(user, existsSync(file) ? file : await addUser(dir, user))
  }
  return { dir, entries: list.relays, credentials, dispose }
}
