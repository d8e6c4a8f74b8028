// Sennit, library to library and between two sockets; relays, `expose` and `forward` are the command line, as a user runs them.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { addUser, freePorts, initMesh } from '@sennit/protocol/node'
import { listening, type Server } from '../processes.ts'
import { type Place, type Rig, type Started, type System, tcpEnds } from './system.ts'

const sennit = fileURLToPath(new URL('../../../../cli/bin/sennit.mjs', import.meta.url))
/** Three, as `mesh up` makes them: one active, one warm, one to spare. Modes that use several at once get one more than they use. */
const relaysOf = (paths: string): number => Math.max(3, ...[...paths.matchAll(/\d+(?=\))/g)].map(([n]) => Number(n) + 1))

export function sennitLibrary(carrier: string, paths: string): System {
  return {
    ...ours('Sennit library', carrier, paths),
    async start(rig) {
      const mesh = await startMesh(rig, paths)
      const { role: sink } = await rig.role('library-sink', mesh.far, mesh.list, carrier)
      const { role: source } = await rig.role('library-source', mesh.near, mesh.list, carrier, 'far', paths, rig.bytesPerSecond)
      return { port: 0, source, sink, servers: mesh.servers }
    },
  }
}

export function sennitForward(carrier: string, paths: string): System {
  return {
    ...ours('Sennit forward', carrier, paths),
    async start(rig): Promise<Started> {
      const mesh = await startMesh(rig, paths)
      const { source, sink, sinkPort } = await tcpEnds(rig)
      const [port = 0] = await freePorts(1)
      const common = ['--relay-list', mesh.list, '--carrier', carrier, '--json', ...(paths === 'best' ? [] : ['--paths', paths])]
      const expose = ['expose', 'scorecard', `127.0.0.1:${sinkPort}`, '--credential', mesh.far]
      rig.program({ program: process.execPath, args: [sennit, ...expose, ...common] })
      const forward = ['forward', String(port), 'far/scorecard', '--credential', mesh.near]
      await listening('127.0.0.1', port, rig.program({ program: process.execPath, args: [sennit, ...forward, ...common] }))
      return { port, source, sink, servers: mesh.servers }
    },
  }
}

function ours(system: string, carrier: string, paths: string): Omit<System, 'start'> {
  return { system, carrier, paths, relays: relaysOf(paths), missing: () => undefined, version: () => `this tree, Node ${process.version}` }
}

interface TestMesh {
  readonly near: string
  readonly far: string
  readonly list: string
  readonly servers: readonly Server[]
}

async function startMesh(rig: Rig, paths: string): Promise<TestMesh> {
  const dir = join(rig.dir, 'mesh')
  const places: Place[] = []
  while (places.length < relaysOf(paths)) places.push(await rig.place())
  await initMesh(dir, {
    relays: places.map(({ outer, inner }, index) => ({
      relayId: `r${index + 1}`,
      url: `http://127.0.0.1:${outer}`,
      listen: `127.0.0.1:${inner}`,
      failureDomain: `host${index + 1}`,
    })),
  })
  const [near, far] = [await addUser(dir, 'near'), await addUser(dir, 'far')]
  const servers: Server[] = []
  for (const [index, place] of places.entries()) {
    const id = `r${index + 1}`
    const command = { program: process.execPath, args: [sennit, 'relay', '--config', join(dir, 'relays', `${id}.toml`), '--json'] }
    const server = await rig.server(id, command, { host: '127.0.0.1', port: place.inner })
    await rig.guard(server, place)
    servers.push(server)
  }
  return { near, far, list: join(dir, 'relays.list'), servers }
}
