// Keys of a test run: what each does to the run and to the screen, and a terminal that gives keys one by one and is put right again whatever happens.
import { readFileSync } from 'node:fs'
import type { Drill, RunControls } from '@sennit/loadtest'
import { listedFaults, type ScreenState } from './run-screen.ts'

/** One key, as a terminal in raw mode sends it. Gives the screen that follows. */
export function press(key: string, state: ScreenState, controls: RunControls | undefined): ScreenState {
  const at = (view: ScreenState['view'], said = '', from = 0): ScreenState => ({ ...state, view, from, said })
  if (key === '\u001b' || (state.view === 'help' && key !== '?')) return at('run')
  if (key === '?') return at(state.view === 'help' ? 'run' : 'help')
  if (controls === undefined) return at('run', 'nothing can be done to this run now')
  if (state.view === 'faults') return chosen(key, state, controls, at)
  try {
    switch (key.toLowerCase()) {
      case 'p':
        if (controls.rampPaused) controls.resumeRamp()
        else controls.pauseRamp()
        return at('run', controls.rampPaused ? 'the ramp is paused: clients that are due wait' : 'the ramp goes on')
      case 'f':
        return at('faults')
      case 's':
      case 'q':
        controls.stop()
        return at('run', 'stops in good order: heals faults, waits for what is under way, reports')
      default:
        return state
    }
  } catch (error) {
    return at('run', error instanceof Error ? error.message : String(error))
  }
}

function chosen(
  key: string,
  { from }: ScreenState,
  controls: RunControls,
  at: (view: ScreenState['view'], said?: string, from?: number) => ScreenState,
): ScreenState {
  const { drills } = controls
  if (key === 'n') return at('faults', '', from + listedFaults < drills.length ? from + listedFaults : 0)
  const drill: Drill | undefined = /^[1-9]$/.test(key) ? drills[from + Number(key) - 1] : undefined
  if (drill === undefined) return at('faults', '', from)
  try {
    controls.inject(drill.fault)
    return at('run', `${drill.fault} begins: ${drill.action} ${drill.target}`)
  } catch (error) {
    return at('run', error instanceof Error ? error.message : String(error))
  }
}

export interface Keys {
  end(): void
}

/**
 * Listens to keys; undefined where there is nobody to press any: no terminal, or one that somebody else uses while we run in the background (a
 * process in the background that asks it for keys is stopped). Ctrl-C means what it always means.
 */
export function listenToKeys(onKey: (key: string) => void): Keys | undefined {
  const { stdin } = process
  if (!stdin.isTTY || !isInForeground()) return undefined
  let ended = false
  const end = (): void => {
    if (ended) return
    ended = true
    stdin.off('data', onData)
    process.off('exit', end)
    stdin.setRawMode(false)
    stdin.pause()
  }
  const onData = (data: Buffer): void => {
    const text = data.toString('utf8')
    if (text.includes('\u0003')) process.kill(process.pid, 'SIGINT')
    else if (text.includes('\u001c')) {
      end()
      process.kill(process.pid, 'SIGQUIT')
    } else if (text.startsWith('\u001b')) onKey('\u001b')
    else for (const key of text.slice(0, 16)) onKey(key)
  }
  stdin.setRawMode(true)
  // A process that ends by an error or by process.exit() puts the terminal right on its way out.
  process.on('exit', end)
  stdin.on('data', onData)
  stdin.resume()
  return { end }
}

/** On Linux the terminal says whose turn it is; elsewhere a run in the background is rare enough to ask for. */
function isInForeground(): boolean {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ') ?? []
    return fields[2] === fields[5]
  } catch {
    return process.platform !== 'linux'
  }
}
