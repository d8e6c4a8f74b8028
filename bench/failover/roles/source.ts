// The near end: opens numbered streams through an outlet, one at a time, and writes at a steady pace.
import { nowMs } from '../clock.ts'
import type { Ask } from './lines.ts'
import { say, serveAsks } from './lines.ts'
import type { Outlet, OutletEvents } from './outlet.ts'
import { SteadySource } from './steady-source.ts'

/** Opens an outlet for stream `number`; `port` is where TCP systems are entered. */
export type OpenOutlet = (number: number, port: number, events: OutletEvents) => Promise<Outlet>

export function serveSource(open: OpenOutlet, bytesPerSecond: number): void {
  const sources = new Map<number, SteadySource>()

  serveAsks(async ({ what, stream, port = 0, fromMs = 0, toMs = nowMs() }: Ask) => {
    if (what === 'open') {
      const outlet = await open(stream, port, {
        onDrain: () => sources.get(stream)?.drained(),
        onCut: (why) => {
          sources.get(stream)?.stop()
          say({ event: 'cut', stream, why })
        },
      })
      sources.set(stream, new SteadySource(outlet, bytesPerSecond))
      return {}
    }
    const source = sources.get(stream)
    if (source === undefined) throw new Error(`no stream ${stream}`)
    switch (what) {
      case 'position':
        return { position: source.position }
      case 'late':
        return { lateMs: source.lateness.longestMs(fromMs, toMs) }
      case 'end':
        source.stop()
        source.outlet.end()
        return { sent: source.position }
      case 'drop': {
        source.stop()
        const sent = source.outlet.taken()
        source.outlet.drop()
        sources.delete(stream)
        return { sent }
      }
      default:
        throw new Error(`expected open, position, late, end or drop; found ${what}`)
    }
  })
  say({ ready: true })
}
