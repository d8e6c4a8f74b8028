// Signed relay lists on disk for the clients whose directory an act takes away. Without such an act clients are handed their relays, and there
// are no files.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { possibleActs } from '../act-target.ts'
import type { FaultAct, Plan, PlanClient } from '../plan.ts'
import type { Network } from './network.ts'
import type { TestMesh } from './test-mesh.ts'

/** The version that clients start with: an older one must be left to go back to. */
const firstVersion = 10

interface ListFile {
  readonly file: string
  readonly client: PlanClient
}

export class ListFiles {
  readonly #files = new Map<string, ListFile>()
  readonly #mesh: TestMesh
  readonly #network: Network
  #dir: string | undefined
  #version = firstVersion

  private constructor(mesh: TestMesh, network: Network) {
    this.#mesh = mesh
    this.#network = network
  }

  /** Writes the lists that acts of the plan may take away from its clients. */
  static async open(plan: Plan, mesh: TestMesh, network: Network): Promise<ListFiles> {
    const lists = new ListFiles(mesh, network)
    await lists.#begin(plan)
    return lists
  }

  async #begin(plan: Plan): Promise<void> {
    const named = new Set(
      possibleActs(plan).flatMap(({ action, target }) => (action === 'directory_down' && target.kind === 'clients' ? target.clients : [])),
    )
    const readers = plan.clients.filter((one) => named.has(one.client))
    if (readers.length === 0) return
    this.#dir = mkdtempSync(join(tmpdir(), 'sennit-test-lists-'))
    for (const client of readers) this.#files.set(client.client, { file: join(this.#dir, `${client.client}.list`), client })
    await this.#write([...this.#files.values()], this.#version)
  }

  /** The list file of a client; undefined: it has none. */
  fileFor(client: PlanClient): string | undefined {
    return this.#files.get(client.client)?.file
  }

  /** Takes lists away, as the act says. Returns what was done. */
  async spoil(act: FaultAct): Promise<string> {
    const hit = this.#hit(act)
    if (act.how === 'missing') for (const { file } of hit) rmSync(file, { force: true })
    else if (act.how === 'empty') for (const { file } of hit) writeFileSync(file, '')
    // One relay of the client's list: an old list that were taken would show by the rest being left.
    else if (act.how === 'older') await this.#write(hit, firstVersion - 1, { only: 1 })
    else await this.#write(hit, this.#version, { change: flipped })
    return `${hit.length} relay list${hit.length === 1 ? '' : 's'}: ${act.how}`
  }

  /** Puts whole, newer lists in their place. */
  async mend(act: FaultAct): Promise<string> {
    const hit = this.#hit(act)
    this.#version += 1
    await this.#write(hit, this.#version)
    return `${hit.length} relay lists are there again, version ${this.#version}`
  }

  dispose(): void {
    if (this.#dir !== undefined) rmSync(this.#dir, { recursive: true, force: true })
  }

  #hit({ target }: FaultAct): ListFile[] {
    return target.kind === 'clients' ? target.clients.flatMap((client) => this.#files.get(client) ?? []) : []
  }

  async #write(
    files: readonly ListFile[],
    version: number,
    { only, change = (bytes) => bytes }: { only?: number; change?: (bytes: Uint8Array) => Uint8Array } = {},
  ): Promise<void> {
    const lists = await this.#mesh.signLists(
      version,
      files.map(({ client }) => this.#network.entriesFor(client).slice(0, only)),
    )
    for (const [index, { file }] of files.entries()) writeFileSync(file, change(lists[index]!))
  }
}

function flipped(bytes: Uint8Array): Uint8Array {
  const at = Math.floor(bytes.length / 2)
  bytes[at] = bytes[at]! ^ 1
  return bytes
}
