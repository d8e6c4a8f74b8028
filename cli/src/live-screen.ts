// What a person sees while a test runs: a screen that is redrawn on a terminal and listens to keys, plain lines elsewhere (build servers, pipes).
import type { Plan, RunControls, RunStatus } from '@sennit/loadtest'
import { logUpdateStderr } from 'log-update'
import type { Output } from './output.ts'
import { type Keys, listenToKeys, press } from './run-keys.ts'
import { type ScreenState, screen } from './run-screen.ts'
import { statusLine } from './run-text.ts'

export interface LiveScreen {
  show(status: RunStatus): void
  /** What keys act on. */
  control(controls: RunControls): void
  end(): void
}

/** Without a terminal a line this often is enough to see that it lives. */
const plainEveryMs = 5_000

/** More than a few pictures a second nobody sees. */
const drawEveryMs = 200

/** Words go to stderr: stdout is for the result. */
export function openLiveScreen(out: Output, plan: Plan): LiveScreen {
  return process.stderr.isTTY && !out.json && process.env.CI === undefined && process.env.TERM !== 'dumb' ? drawn(plan) : plain(out, plan)
}

function plain(out: Output, plan: Plan): LiveScreen {
  let shownMs = Number.NEGATIVE_INFINITY
  return {
    show(status) {
      if (status.nowMs - shownMs < plainEveryMs) return
      shownMs = status.nowMs
      out.note(statusLine(status, plan), { status })
    },
    control() {},
    end() {},
  }
}

function drawn(plan: Plan): LiveScreen {
  let status: RunStatus | undefined
  let controls: RunControls | undefined
  let keys: Keys | undefined
  let state: ScreenState = { view: 'run', from: 0, said: '', keys: false }
  let drawnMs = Number.NEGATIVE_INFINITY
  const draw = (): void => {
    drawnMs = performance.now()
    const { columns = 80, rows = 24 } = process.stderr
    if (status !== undefined) logUpdateStderr(screen(status, plan, state, { columns, rows }).join('\n'))
  }
  keys = listenToKeys((key) => {
    state = press(key, state, controls)
    draw()
  })
  state = { ...state, keys: keys !== undefined }
  process.stderr.on('resize', draw)
  return {
    show(told) {
      status = told
      // A simulated run has thousands of seconds a minute.
      if (performance.now() - drawnMs >= drawEveryMs) draw()
    },
    control(given) {
      controls = given
    },
    end() {
      keys?.end()
      draw()
      process.stderr.off('resize', draw)
      logUpdateStderr.done()
    },
  }
}
