// The mesh as an agent has it: the relays and the credentials that came with its share, in a folder of its own that goes with it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hex, isName, type RelayEntry, SennitError, unhex } from '@sennit/protocol'
import type { TestMesh } from '../live/test-mesh.ts'
import type { ListsAsked, Share, SharedRelay } from './messages.ts'

/** `sign` asks the coordinator, whose keys do not travel: lists come back in base64. */
export function openAgentMesh(
  { relays, credentials }: Pick<Share, 'relays' | 'credentials'>,
  sign: (asked: ListsAsked) => Promise<readonly string[]>,
): TestMesh {
  const dir = mkdtempSync(join(tmpdir(), 'sennit-test-agent-'))
  try {
    const files = new Map<string, string>()
    for (const [user, text] of credentials) {
      // It becomes the name of a file.
      if (!isName(user))
        throw new SennitError('agent_refused', `the coordinator sent a credential of "${user.slice(0, 80)}", which is no user`)
      const file = join(dir, `${user}.cred`)
      writeFileSync(file, text, { mode: 0o600 })
      files.set(user, file)
    }
    return {
      dir,
      entries: relays.map(relayEntry),
      credentials: files,
      signLists: async (version, lists) => {
        const signed = await sign({ version, lists: lists.map((list) => list.map(sharedRelay)) })
        return signed.map((text) => Buffer.from(text, 'base64'))
      },
      dispose: () => rmSync(dir, { recursive: true, force: true }),
    }
  } catch (error) {
    rmSync(dir, { recursive: true, force: true })
    throw error
  }
}

/** An entry of the relay list as it travels. */
export function sharedRelay({ relayId, urls, key, failureDomain, zone }: RelayEntry): SharedRelay {
  return {
    relayId,
    urls,
    ...(key === undefined ? {} : { key: hex(key) }),
    ...(failureDomain === undefined ? {} : { failureDomain }),
    ...(zone === undefined ? {} : { zone }),
  }
}

function relayEntry({ key, ...entry }: SharedRelay): RelayEntry {
  return key === undefined ? entry : { ...entry, key: unhex(key) }
}

/** An agent's own proxies, which only its clients reach. */
const loopback = /^https?:\/\/127\.0\.0\.1:\d{1,5}$/

/**
 * The lists that an agent may have signed: of these relays, at their own addresses or at proxies on its machine, and of nothing else.
 * @throws SennitError `agent_refused`
 */
export function listsOf({ version, lists }: ListsAsked, entries: readonly RelayEntry[], versionMax: number): RelayEntry[][] {
  const refuse = (why: string): never => {
    throw new SennitError('agent_refused', `lists of relays: ${why}`)
  }
  if (!Number.isSafeInteger(version) || version < 1 || version > versionMax) refuse(`expected a version from 1 to ${versionMax}`)
  return lists.map((list) =>
    list.map(({ relayId, urls }) => {
      const known = entries.find((one) => one.relayId === relayId) ?? refuse(`expected relays of this run; found "${relayId}"`)
      const strange = urls.find((url) => !known.urls.includes(url) && !loopback.test(url))
      if (strange !== undefined) refuse(`expected addresses of ${relayId}, or of proxies on loopback; found "${strange}"`)
      return { ...known, urls }
    }),
  )
}
