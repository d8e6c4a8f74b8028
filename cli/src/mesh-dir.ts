// The mesh whose running relays a test uses.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { usageError } from './exit-codes.ts'

export interface MeshChoice {
  readonly mesh?: string
  /** The list that lies in the mesh directory. */
  readonly relayList?: string
  readonly virtual?: boolean
}

/** Its directory: a test needs the whole of it, because it adds the users of its workbook. undefined: the test makes a mesh of its own. */
export function meshDirOf({ mesh, relayList, virtual }: MeshChoice): string | undefined {
  if (virtual === true) return undefined
  const dir = mesh ?? (relayList === undefined ? undefined : dirname(relayList))
  if (dir !== undefined && !existsSync(join(dir, 'mesh.json')))
    throw usageError(`expected a mesh directory with mesh.json in ${dir}; found none. Without --mesh the test makes a mesh of its own`)
  return dir
}
