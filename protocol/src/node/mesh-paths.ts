/** Where the files of a mesh directory are. */

import { join } from 'node:path'

export interface MeshPaths {
  readonly mesh: string
  readonly rootKey: string
  readonly relayIssuerKey: string
  readonly userIssuerKey: string
  readonly listSignerKey: string
  readonly relays: string
  readonly users: string
}

/** The files of the mesh in `directory`. */
export function paths(directory: string): MeshPaths {
  return {
    mesh: join(directory, 'mesh.json'),
    rootKey: join(directory, 'root', 'root.key'),
    relayIssuerKey: join(directory, 'issuers', 'relay.key'),
    userIssuerKey: join(directory, 'issuers', 'user.key'),
    listSignerKey: join(directory, 'issuers', 'list.key'),
    relays: join(directory, 'relays.list'),
    users: join(directory, 'users.list'),
  }
}
