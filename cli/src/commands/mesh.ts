// `sennit mesh init` and `sennit mesh up`: a mesh on loopback, each relay its own process.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { usageError } from '../exit-codes.ts'
import { createOutput, jsonOption, type Output } from '../output.ts'
import { endWithParent, type RelayProcess, startRelayProcess } from '../relay-process.ts'
import { openControlSocketOrNote } from '../serving.ts'
import { aborted, untilStopped } from '../signals.ts'
import { addMeshRelayCommands } from './mesh-relays.ts'

/** A frozen relay cannot hear SIGTERM; after this it is killed, so that all are gone within the five seconds promised. */
const killAfterMs = 3_500
/** More than any loopback drill needs; a typo such as 1000 would eat the machine. */
const relaysMax = 64

export function addMeshCommands(program: Command): void {
  const mesh = program.command('mesh').description('make a mesh, keep its relay list, and run one on this machine')
  addMeshRelayCommands(mesh)
  mesh
    .command('init')
    .argument('<dir>', 'directory to make the mesh in; must be missing or empty')
    .option('--relays <n>', 'relays on loopback to make keys, certificates and configs for; 0: none yet, `mesh add-relay` adds them', '3')
    .addOption(new Option('--directory <url>', 'where the relays register: consul://host:port/service').env('SENNIT_DIRECTORY'))
    .addOption(jsonOption())
    .description('make keys, certificates and lists of a new mesh')
    .addHelpText('after', '\nExamples:\n  sennit mesh init ./mesh\n  sennit mesh init ./mesh --relays 5')
    .action(async (dir: string, options: { relays: string; directory?: string; json?: boolean }) => {
      const out = createOutput(options.json === true)
      const relays = await makeMesh(dir, parseCount(options.relays, 0), options.directory)
      out.result(
        { dir, relays },
        relays.length === 0
          ? `mesh made in ${dir}, without relays yet\nKeep ${join(dir, 'root')} offline. Next: sennit mesh add-relay r1 --mesh ${dir} --url http://relay.example:80 --listen 0.0.0.0:80`
          : `mesh made in ${dir} with ${relays.length} relays: ${relays.map((relay) => `${relay.id} ${relay.url}`).join(', ')}\nKeep ${join(dir, 'root')} offline. Next: sennit mesh up --dir ${dir}`,
      )
    })
  mesh
    .command('up')
    .option('--relays <n>', 'relays of a mesh made now (default 3); an existing mesh keeps its own')
    .addOption(new Option('--dir <dir>', 'mesh directory; made when missing or empty').env('SENNIT_MESH').default('.sennit'))
    .addOption(jsonOption())
    .description('run every relay of a mesh on this machine until interrupted')
    .addHelpText(
      'after',
      '\nReady, it prints each relay; one that dies is told and not restarted (`sennit relay --config DIR/relays/r1.toml` does).\n\nExamples:\n  sennit mesh up\n  sennit mesh up --relays 5 --dir ./mesh --json',
    )
    .action(async (options: { relays?: string; dir: string; json?: boolean }) => {
      await meshUp(options)
    })
}

async function makeMesh(dir: string, count: number, directory?: string): Promise<{ id: string; url: string }[]> {
  if (existsSync(dir) && readdirSync(dir).length > 0) {
    throw usageError(`expected ${dir} to be missing or empty; found ${readdirSync(dir).length} entries in it`)
  }
  const { freePorts, initMesh } = await import('@sennit/protocol/node')
  const ports = await freePorts(count * 2)
  const relays = Array.from({ length: count }, (_, index) => ({
    relayId: `r${index + 1}`,
    url: `http://127.0.0.1:${ports[index * 2]}`,
    listen: `127.0.0.1:${ports[index * 2]}`,
    admin: `127.0.0.1:${ports[index * 2 + 1]}`,
    ...(directory === undefined ? {} : { directory }),
  }))
  await initMesh(dir, { relays })
  return relays.map((relay) => ({ id: relay.relayId, url: relay.url }))
}

async function meshUp(options: { relays?: string; dir: string; json?: boolean }): Promise<void> {
  const out = createOutput(options.json === true)
  const configs = await prepareMesh(options, out)
  const { Guard } = await import('@sennit/loadtest/processes')
  await untilStopped(async (signal) => {
    // Killed, this process cannot end a relay that is frozen, and that could not hear that it is alone.
    const guard = new Guard('')
    const relays: RelayProcess[] = []
    const spawned = (relay: RelayProcess): void => {
      relays.push(relay)
      if (relay.pid === 0) return
      guard.watch(relay.pid)
      void relay.exited.then(() => guard.forget(relay.pid))
    }
    try {
      await runRelays(options.dir, configs, relays, spawned, out, signal)
    } finally {
      await endAll(relays)
      await guard.end()
    }
  })
}

/** Makes the mesh if there is none. @returns the config of each relay, r1 first */
async function prepareMesh(options: { relays?: string; dir: string }, out: Output): Promise<string[]> {
  const { dir } = options
  const wanted = options.relays === undefined ? undefined : parseCount(options.relays)
  if (!existsSync(dir) || readdirSync(dir).length === 0) {
    await makeMesh(dir, wanted ?? 3)
    out.note(`made a new mesh in ${dir}`)
  } else if (!existsSync(join(dir, 'mesh.json'))) {
    throw usageError(
      `expected a mesh in ${dir}; found a directory without mesh.json. Name an empty one, or run \`sennit mesh init\` elsewhere`,
    )
  }
  const folder = join(dir, 'relays')
  const names = (existsSync(folder) ? readdirSync(folder) : []).filter((name) => name.endsWith('.toml')).sort(byNumber)
  if (names.length === 0) throw usageError(`expected relays in ${folder}, one NAME.toml each; found none`)
  if (wanted !== undefined && wanted !== names.length) {
    throw usageError(
      `expected --relays ${names.length} or none, for the mesh in ${dir} has ${names.length} relays; found --relays ${wanted}. A new --dir makes a new mesh`,
    )
  }
  return names.map((name) => join(folder, name))
}

/** Starts every relay, tells when all are ready and when one dies, until interrupted. */
async function runRelays(
  dir: string,
  configs: readonly string[],
  relays: readonly RelayProcess[],
  spawned: (relay: RelayProcess) => void,
  out: Output,
  signal: AbortSignal,
): Promise<void> {
  const { startInTurn } = await import('@sennit/loadtest/processes')
  const launcher = endWithParent()
  const start = (config: string): Promise<RelayProcess> => startRelayProcess(config, launcher, spawned)
  await startInTurn(configs, { start, signal, note: (text) => out.note(text) })
  for (const relay of relays) {
    void relay.exited.then(({ code, signal: by }) => {
      if (signal.aborted) return
      out.result(
        { relay: relay.id, exited: true, code, signal: by, pid: relay.pid },
        `relay ${relay.id} ended (${by ?? `exit code ${code}`}); it is not restarted`,
      )
    })
  }
  const rows = relays.map(({ id, url, pid, adminUrl }) => ({ id, url, pid, adminUrl })).sort((a, b) => byNumber(a.id, b.id))
  const control = await openControlSocketOrNote(join(dir, 'run'), () => ({ pid: process.pid, command: 'mesh up', relays: rows }), out)
  out.result(
    { ready: true, dir, relays: rows },
    `${rows.map((row) => `${row.id}  ${row.url}  pid ${row.pid}  admin ${row.adminUrl}`).join('\n')}\nready; add a user with: sennit user add NAME --mesh ${dir}\nCtrl-C ends the mesh`,
  )
  await aborted(signal)
  await control.close()
}

async function endAll(relays: readonly RelayProcess[]): Promise<void> {
  for (const relay of relays) relay.stop()
  const timer = setTimeout(() => {
    for (const relay of relays) relay.kill()
  }, killAfterMs)
  await Promise.all(relays.map((relay) => relay.exited))
  clearTimeout(timer)
}

function parseCount(text: string, min = 1): number {
  const count = Number(text)
  if (!/^\d+$/.test(text) || count < min || count > relaysMax)
    throw usageError(`--relays: expected a whole number from ${min} to ${relaysMax}; found "${text}"`)
  return count
}

/** r2 before r10. */
function byNumber(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}
