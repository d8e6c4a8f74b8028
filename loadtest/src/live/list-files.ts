// Signed relay lists on disk for the clients whose directory an act takes away. Without such an act clients are handed their relays, and there
// are no files.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { possibleActs } from '../act-target.ts'
import { familyOf } from '../fault-actions.ts'
import type { FaultAct, Plan, PlanClient } from '../plan.ts'
import type { Network } from './network.ts'
import { signedRelayList, type TestMesh } from './test-mesh.ts'

/** The version that clients start with: an older one must be left to go back to. */
const firstVersion = 10

export class ListFiles {
  readonly #files = new Map<string, { readonly file: string; readonly client: PlanClient }>()
  readonly #mesh: TestMesh
  readonly #network: Network
  readonly #dir: string | undefined
  #version = firstVersion

  constructor(plan: Plan, mesh: TestMesh, network: Network) {
    this.#mesh = mesh
    this.#network = network
    const named = new Set(
      possibleActs(plan).flatMap((act) => (familyOf(act) === 'client' && act.target.kind === 'clients' ? act.target.clients : [])),
    )
    if (named.size === 0) return
    this.#dir = mkdtempSync(join(tmpdir(), 'sennit-test-lists-'))
    for (const client of plan.clients.filter((one) => named.has(one.client))) {
      const file = join(this.#dir, `${client.client}.list`)
      this.#files.set(client.client, { file, client })
      writeFileSync(file, this.#list(client, this.#version))
    }
  }

  /** The list file of a client; undefined: it has none. */
  fileFor(client: PlanClient): string | undefined {
    return this.#files.get(client.client)?.file
  }

  /** Takes lists away, as the act says. Returns what was done. */
  spoil(act: FaultAct): string {
    const hit = this.#hit(act)
    for (const { file, client } of hit) {
      if (act.how === 'missing') rmSync(file, { force: true })
      else if (act.how === 'empty') writeFileSync(file, '')
      else if (act.how === 'older') writeFileSync(file, this.#list(client, firstVersion - 1, 1))
      else writeFileSync(file, flipped(this.#list(client, this.#version)))
    }
    return `${hit.length} relay list${hit.length === 1 ? '' : 's'}: ${act.how}`
  }

  /** Puts whole, newer lists in their place. */
  mend(act: FaultAct): string {
    const hit = this.#hit(act)
    this.#version += 1
    for (const { file, client } of hit) writeFileSync(file, this.#list(client, this.#version))
    return `${hit.length} relay lists are there again, version ${this.#version}`
  }

  dispose(): void {
    if (this.#dir !== undefined) rmSync(this.#dir, { recursive: true, force: true })
  }

  #hit({ target }: FaultAct): { readonly file: string; readonly client: PlanClient }[] {
    return target.kind === 'clients' ? target.clients.flatMap((client) => this.#files.get(client) ?? []) : []
  }

  /** `only`: so many relays of the client's list; an old list that were taken would show by the rest being left. */
  #list(client: PlanClient, version: number, only?: number): Uint8Array {
    return signedRelayList(this.#mesh, version, this.#network.entriesFor(client).slice(0, only))
  }
}

function flipped(bytes: Uint8Array): Uint8Array {
  const at = Math.floor(bytes.length / 2)
  bytes[at] = bytes[at]! ^ 1
  return bytes
}
