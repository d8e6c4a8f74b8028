// A relay as a child process: started from its config, known ready by the JSON line it prints, ended by signal.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { SennitError } from '@sennit/protocol'

/** A relay starts in well under a second; one that has not after this is stuck, and saying so beats waiting on. */
const readyTimeoutMs = 20_000

export const programPath: string = fileURLToPath(new URL('../bin/sennit.mjs', import.meta.url))

export interface RelayProcess {
  readonly id: string
  readonly url: string
  readonly adminUrl: string
  readonly pid: number
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** Asks it to end now (SIGINT: no drain). */
  stop(): void
  /** Ends it, frozen or not. */
  kill(): void
}

/** Starts `sennit relay --config` and resolves when it is ready. The relay ends by itself when this process does. */
export async function startRelayProcess(config: string, spawned?: (relay: RelayProcess) => void): Promise<RelayProcess> {
  const child = spawn(process.execPath, [programPath, 'relay', '--config', config, '--json', '--exit-with-stdin'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((done) => {
    child.once('exit', (code, signal) => done({ code, signal }))
    child.once('error', () => done({ code: 1, signal: null }))
  })
  child.stdin?.on('error', () => {})
  const relay = {
    id: '',
    url: '',
    adminUrl: '',
    pid: child.pid ?? 0,
    exited,
    stop: () => signal(child, 'SIGINT'),
    kill: () => signal(child, 'SIGKILL'),
  }
  spawned?.(relay)
  const ready = await firstReadyLine(child, exited, config)
  return Object.assign(relay, { id: ready.id, url: ready.url, adminUrl: ready.adminUrl })
}

function signal(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.exitCode === null && child.signalCode === null) child.kill(name)
}

interface ReadyLine {
  readonly ready: true
  readonly id: string
  readonly url: string
  readonly adminUrl: string
}

async function firstReadyLine(child: ChildProcess, exited: RelayProcess['exited'], config: string): Promise<ReadyLine> {
  if (child.stdout === null) throw new SennitError('bug', 'a relay was started without a pipe for its output')
  const lines = createInterface({ input: child.stdout })
  return await new Promise<ReadyLine>((done, fail) => {
    const timer = setTimeout(() => {
      signal(child, 'SIGKILL')
      fail(new SennitError('relay_not_ready', `the relay of ${config} said nothing within ${readyTimeoutMs / 1000} s`))
    }, readyTimeoutMs)
    lines.on('line', (line) => {
      let value: unknown
      try {
        value = JSON.parse(line)
      } catch {
        return
      }
      if (typeof value !== 'object' || value === null || !('ready' in value)) return
      clearTimeout(timer)
      done(value as ReadyLine)
    })
    void exited.then(({ code, signal: by }) => {
      clearTimeout(timer)
      fail(
        new SennitError(
          'config_invalid',
          `the relay of ${config} ended before it was ready (${by ?? `exit code ${code}`}); its own words are above`,
        ),
      )
    })
  })
}
