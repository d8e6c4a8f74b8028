// What a key or a button asks for, done to the run, with a word on what came of it.
import type { RunControls } from '../run-controls.ts'

export interface Acted {
  /** As HTTP says it. */
  readonly status: number
  readonly text: string
}

/** `{"do":"pause"}`, `resume`, `stop`, or `{"do":"inject","fault":"F1"}`. */
export function act(controls: RunControls | undefined, body: string): Acted {
  const asked = parse(body)
  if (asked === undefined) return { status: 400, text: 'expected {"do":"pause"}, "resume", "stop", or "inject" with the name of a fault' }
  if (controls === undefined) return { status: 409, text: 'no run can be acted on now' }
  try {
    return { status: 200, text: perform(controls, asked) }
  } catch (error) {
    return { status: 409, text: error instanceof Error ? error.message : String(error) }
  }
}

type Asked = { readonly do: 'pause' | 'resume' | 'stop' } | { readonly do: 'inject'; readonly fault: string }

function perform(controls: RunControls, asked: Asked): string {
  switch (asked.do) {
    case 'pause':
      controls.pauseRamp()
      return 'the ramp is paused: clients that are due wait'
    case 'resume':
      controls.resumeRamp()
      return 'the ramp goes on'
    case 'stop':
      controls.stop()
      return 'the run stops: faults are healed, and the report is written'
    case 'inject':
      controls.inject(asked.fault)
      return `fault ${asked.fault} begins`
  }
}

function parse(body: string): Asked | undefined {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('do' in value)) return undefined
  if (value.do === 'pause' || value.do === 'resume' || value.do === 'stop') return { do: value.do }
  if (value.do === 'inject' && 'fault' in value && typeof value.fault === 'string') return { do: 'inject', fault: value.fault }
  return undefined
}
