// A relay as a child process: started from its config, known ready by the JSON line it prints, ended by signal.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { codedError } from './exit-codes.ts'

export const programPath: string = fileURLToPath(new URL('../bin/sennit.mjs', import.meta.url))

export interface RelayProcess {
  readonly id: string
  readonly url: string
  readonly adminUrl: string | null
  readonly pid: number
  readonly exited: Promise<RelayExit>
  /** Asks it to end now (SIGINT: no drain). */
  stop(): void
  /** Ends it, frozen or not. */
  kill(): void
}

export interface RelayExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/**
 * Starts `sennit relay --config` and resolves when it is ready, however long that takes. The relay ends by itself when this process does.
 * @param launcher what {@link endWithParent} gave
 * @param spawned told at once, so that whoever stops early can end it
 */
export async function startRelayProcess(
  config: string,
  launcher: readonly string[],
  spawned: (relay: RelayProcess) => void,
): Promise<RelayProcess> {
  const [program = process.execPath, ...args] = [
    ...launcher,
    process.execPath,
    programPath,
    'relay',
    '--config',
    config,
    '--json',
    '--exit-with-stdin',
  ]
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = new Promise<RelayExit>((done) => {
    child.once('exit', (code, signal) => done({ code, signal }))
    child.once('error', () => done({ code: 1, signal: null }))
  })
  child.stdin?.on('error', () => {})
  const relay = {
    id: '',
    url: '',
    adminUrl: null,
    pid: child.pid ?? 0,
    exited,
    stop: () => signal(child, 'SIGINT'),
    kill: () => signal(child, 'SIGKILL'),
  }
  spawned(relay)
  const { id, url, adminUrl } = await readyLine(child, exited, config)
  return Object.assign(relay, { id, url, adminUrl })
}

function signal(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.exitCode === null && child.signalCode === null) child.kill(name)
}

/**
 * Its closed standard input tells a relay that its parent is gone; a frozen one cannot hear that. On Linux the kernel can be told to kill it
 * with its parent: `setpriv` (util-linux) sets that and then becomes the relay, under the same pid.
 */
export function endWithParent(): readonly string[] {
  const args = ['--pdeathsig', 'KILL']
  return process.platform === 'linux' && spawnSync('setpriv', [...args, 'true']).status === 0 ? ['setpriv', ...args] : []
}

interface ReadyLine {
  readonly ready: true
  readonly id: string
  readonly url: string
  readonly adminUrl: string | null
}

async function readyLine(child: ChildProcess, exited: Promise<RelayExit>, config: string): Promise<ReadyLine> {
  if (child.stdout === null) throw codedError('bug', 'a relay was started without a pipe for its output')
  const lines = createInterface({ input: child.stdout })
  return await new Promise<ReadyLine>((done, fail) => {
    lines.on('line', (line) => {
      const ready = parseReady(line)
      if (ready !== undefined) done(ready)
    })
    void exited.then(({ code, signal: by }) => {
      fail(
        codedError(
          'relay_ended',
          `the relay of ${config} ended before it was ready (${by ?? `exit code ${code}`}); its own words are above`,
          {
            config,
          },
        ),
      )
    })
  })
}

function parseReady(line: string): ReadyLine | undefined {
  try {
    const value = JSON.parse(line) as Partial<ReadyLine> | null
    return value?.ready === true ? (value as ReadyLine) : undefined
  } catch {
    return undefined
  }
}
