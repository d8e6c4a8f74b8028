// Peers that know several servers: two stand ready, and each comes back by its own means. Their packages are not dependencies of this project.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts } from '@sennit/protocol/node'
import { type Command, listening, type Server } from '../processes.ts'
import { findProgram, type Place, type Rig, type Started, type System, tcpEnds, toolsDir } from './system.ts'

const peers = fileURLToPath(new URL('../../../failover/peers/', import.meta.url))

export const devTunnels: System = {
  ...npmPeer('dev-tunnels-ssh', 'dev-tunnels', '@microsoft/dev-tunnels-ssh'),
  async start(rig) {
    const run = peerProgram(rig, 'dev-tunnels')
    return between(rig, (place) => run('relay', place.inner), {
      far: (target, places) => run('far', target, ...places.map(({ outer }) => outer)),
      near: (listen, places) => run('near', listen, ...places.map(({ outer }) => outer)),
    })
  },
}

export const libp2p: System = {
  ...npmPeer('libp2p circuit v2', 'libp2p', 'libp2p'),
  async start(rig) {
    const run = peerProgram(rig, 'libp2p')
    const idOf = (seed: number): string => {
      const { program, args } = run('id', seed)
      return spawnSync(program, args, { encoding: 'utf8' }).stdout.trim()
    }
    const farSeed = 99
    const ids = [idOf(1), idOf(2)]
    const addresses = (places: readonly Place[]): string[] =>
      places.map(({ outer }, index) => `/ip4/127.0.0.1/tcp/${outer}/p2p/${ids[index]}`)
    return between(rig, (place, index) => run('relay', place.inner, index + 1), {
      far: (target, places) => run('far', target, ...addresses(places)),
      near: (listen, places) => run('near', listen, idOf(farSeed), ...addresses(places)),
    })
  },
}

export const nats: System = {
  ...npmPeer('nats', 'nats-client', '@nats-io/transport-node'),
  missing: () =>
    findProgram('nats-server') === undefined ? 'apt-get install nats-server' : packageMissing('nats-client', '@nats-io/transport-node'),
  version: () => {
    const { stdout, stderr } = spawnSync(findProgram('nats-server') ?? '', ['--version'], { encoding: 'utf8' })
    return `${(stdout || stderr).trim()}, ${packageVersion('nats-client', '@nats-io/transport-node')}`
  },
  async start(rig) {
    const run = peerProgram(rig, 'nats-client', 'nats')
    const routes = await freePorts(2)
    const cluster = routes.map((port) => `nats://127.0.0.1:${port}`).join(',')
    const server = (place: Place, index: number): Command => ({
      program: findProgram('nats-server') ?? '',
      args: [
        ...['-a', '127.0.0.1', '-p', String(place.inner), '--cluster_name', 'scorecard', '--no_advertise'],
        ...['--cluster', `nats://127.0.0.1:${routes[index]}`, '--routes', cluster],
      ],
    })
    const urls = (places: readonly Place[]): string[] => places.map(({ outer }) => `nats://127.0.0.1:${outer}`)
    return between(rig, server, {
      far: (target, places) => run('far', target, ...urls(places)),
      near: (listen, places) => run('near', listen, ...urls(places)),
    })
  },
}

interface Ends {
  /** What else must run before the bridges. */
  before?(places: readonly Place[]): Promise<void>
  far(target: number, places: readonly Place[]): Command
  near(listen: number, places: readonly Place[]): Command
}

/** Two servers, a far bridge to the sink, a near bridge that the source enters. */
export async function between(rig: Rig, command: (place: Place, index: number) => Command, bridges: Ends): Promise<Started> {
  const ends = await tcpEnds(rig)
  const places = [await rig.place(), await rig.place()]
  const servers: Server[] = []
  for (const [index, place] of places.entries()) {
    const server = await rig.server(`server ${index + 1}`, command(place, index), { host: '127.0.0.1', port: place.inner })
    await rig.guard(server, place)
    servers.push(server)
  }
  await bridges.before?.(places)
  const [port = 0] = await freePorts(1)
  rig.program(bridges.far(ends.sinkPort, places))
  await listening('127.0.0.1', port, rig.program(bridges.near(port, places)))
  return { port, ...ends, servers }
}

function npmPeer(system: string, tool: string, name: string): Omit<System, 'start'> {
  return { system, carrier: 'tcp', paths: '-', missing: () => packageMissing(tool, name), version: () => packageVersion(tool, name) }
}

function packageMissing(tool: string, name: string): string | undefined {
  return existsSync(join(toolsDir, tool, 'node_modules', name, 'package.json')) ? undefined : `npm run tools -- ${tool}`
}

function packageVersion(tool: string, name: string): string {
  const { version } = JSON.parse(readFileSync(join(toolsDir, tool, 'node_modules', name, 'package.json'), 'utf8')) as { version: string }
  return `${name} ${version}`
}

/** Runs a peer's program as a copy beside its packages, where its imports are found. */
function peerProgram(rig: Rig, tool: string, file: string = tool): (...args: (string | number)[]) => Command {
  const folder = join(rig.dir, tool)
  mkdirSync(folder)
  symlinkSync(join(toolsDir, tool, 'node_modules'), join(folder, 'node_modules'))
  for (const name of [`${file}.mjs`, 'with-resolvers.mjs']) copyFileSync(join(peers, name), join(folder, name))
  return (...args) => ({ program: process.execPath, args: [join(folder, `${file}.mjs`), ...args.map(String)] })
}
