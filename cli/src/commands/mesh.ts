// `sennit mesh init` and `sennit mesh up`: a mesh on loopback, each relay its own process.
import { existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { initMesh } from '@sennit/protocol/node'
import type { Command } from 'commander'
import { usageError } from '../exit-codes.ts'
import { createOutput } from '../output.ts'
import { type RelayProcess, startRelayProcess } from '../relay-process.ts'
import { aborted, onInterrupt } from '../signals.ts'

/** A frozen relay cannot hear SIGTERM; after this it is killed, so that all are gone within the five seconds promised. */
const killAfterMs = 3_500
/** More than any loopback drill needs; a typo such as 1000 would eat the machine. */
const relaysMax = 64

export function addMeshCommands(program: Command): void {
  const mesh = program.command('mesh').description('make a mesh, and run one on this machine')
  mesh
    .command('init')
    .argument('<dir>', 'directory to make the mesh in; must be missing or empty')
    .option('--relays <n>', 'relays to make keys, certificates and configs for', '3')
    .option('--json', 'JSON lines on stdout')
    .description('make keys, certificates and lists of a new mesh')
    .addHelpText('after', '\nExamples:\n  sennit mesh init ./mesh\n  sennit mesh init ./mesh --relays 5')
    .action(async (dir: string, options: { relays: string; json?: boolean }) => {
      const out = createOutput(options.json === true)
      const relays = await makeMesh(dir, parseCount(options.relays))
      out.result(
        { dir, relays },
        `mesh made in ${dir} with ${relays.length} relays: ${relays.map((relay) => `${relay.id} ${relay.url}`).join(', ')}\nKeep ${join(dir, 'root')} offline. Next: sennit mesh up --dir ${dir}`,
      )
    })
  mesh
    .command('up')
    .option('--relays <n>', 'relays of a mesh made now (default 3); an existing mesh keeps its own')
    .option('--dir <dir>', 'mesh directory; made when missing or empty', '.sennit')
    .option('--json', 'JSON lines only on stdout, logs on stderr')
    .description('run every relay of a mesh on this machine until interrupted')
    .addHelpText('after', '\nExamples:\n  sennit mesh up\n  sennit mesh up --relays 5 --dir ./mesh --json')
    .action(async (options: { relays?: string; dir: string; json?: boolean }) => {
      await meshUp(options)
    })
}

async function makeMesh(dir: string, count: number): Promise<{ id: string; url: string }[]> {
  if (existsSync(dir) && readdirSync(dir).length > 0) {
    throw usageError(`expected ${dir} to be missing or empty; found ${readdirSync(dir).length} entries in it`)
  }
  const ports = await freePorts(count * 2)
  const relays = Array.from({ length: count }, (_, index) => ({
    relayId: `r${index + 1}`,
    url: `http://127.0.0.1:${ports[index * 2]}`,
    listen: `127.0.0.1:${ports[index * 2]}`,
    admin: `127.0.0.1:${ports[index * 2 + 1]}`,
  }))
  await initMesh(dir, { relays })
  return relays.map((relay) => ({ id: relay.relayId, url: relay.url }))
}

async function meshUp(options: { relays?: string; dir: string; json?: boolean }): Promise<void> {
  const out = createOutput(options.json === true)
  const dir = options.dir
  const configs = join(dir, 'relays')
  if (!existsSync(dir) || readdirSync(dir).length === 0) {
    await makeMesh(dir, parseCount(options.relays ?? '3'))
    out.note(`made a new mesh in ${dir}`)
  } else if (!existsSync(join(dir, 'mesh.json'))) {
    throw usageError(
      `expected a mesh in ${dir}; found a directory without mesh.json. Name an empty one, or run \`sennit mesh init\` elsewhere`,
    )
  }
  const names = readdirSync(configs)
    .filter((name) => name.endsWith('.toml'))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  if (options.relays !== undefined && parseCount(options.relays) !== names.length) {
    throw usageError(`expected --relays ${names.length} or none, for that is what the mesh in ${dir} has; found --relays ${options.relays}`)
  }
  const interruption = onInterrupt()
  const relays: RelayProcess[] = []
  let stopping = false
  const everyExit: Promise<void>[] = []
  try {
    const started = await Promise.allSettled(
      names.map(async (name) => {
        const relay = await startRelayProcess(join(configs, name), (child) => relays.push(child))
        return relay
      }),
    )
    const failed = started.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    for (const relay of relays) {
      everyExit.push(
        relay.exited.then(({ code, signal }) => {
          if (stopping) return
          out.result(
            { relay: relay.id, exited: true, code, signal, pid: relay.pid },
            `relay ${relay.id} ended (${signal ?? `exit code ${code}`}); it is not restarted`,
          )
        }),
      )
    }
    const rows = relays.map((relay) => ({ id: relay.id, url: relay.url, pid: relay.pid, adminUrl: relay.adminUrl }))
    rows.sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }))
    out.result(
      { ready: true, dir, relays: rows },
      `${rows.map((row) => `${row.id}  ${row.url}  pid ${row.pid}  admin ${row.adminUrl}`).join('\n')}\nready; add a user with: sennit user add NAME --mesh ${dir}\nCtrl-C ends the mesh`,
    )
    await aborted(interruption.signal)
  } finally {
    stopping = true
    await endAll(relays)
    await Promise.all(everyExit)
    interruption.dispose()
  }
}

async function endAll(relays: readonly RelayProcess[]): Promise<void> {
  for (const relay of relays) relay.stop()
  const timer = setTimeout(() => {
    for (const relay of relays) relay.kill()
  }, killAfterMs)
  await Promise.all(relays.map((relay) => relay.exited))
  clearTimeout(timer)
}

function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > relaysMax)
    throw usageError(`--relays: expected a whole number from 1 to ${relaysMax}; found "${text}"`)
  return count
}

/** Ports that are free now. All are held at once before any is let go, so that none comes twice. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((done, fail) => {
          const server = createServer()
          server.once('error', fail)
          server.listen(0, '127.0.0.1', () => done(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return ports
}
