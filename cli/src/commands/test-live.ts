// `--live-port`: a page to watch and steer a run by.
import type { LivePage, Plan } from '@sennit/loadtest'
import { usageError } from '../exit-codes.ts'
import type { Output } from '../output.ts'

export interface LiveOptions {
  readonly livePort?: string
  readonly liveHost?: string
}

/** The page that the options or the workbook ask for; the options win. */
export async function openLivePageOf(plan: Plan, { livePort, liveHost }: LiveOptions, out: Output): Promise<LivePage | undefined> {
  const port = livePort === undefined ? plan.run.livePort : portOf(livePort)
  if (port === undefined) return undefined
  const { openLivePage } = await import('@sennit/loadtest')
  const page = await openLivePage({ plan, port, ...(liveHost === undefined ? {} : { host: liveHost }) })
  out.note(`live page: ${page.url}\nmetrics:   ${page.metricsUrl}`, { livePage: page.url, metrics: page.metricsUrl })
  return page
}

/** undefined: none. 0: any that is free. */
function portOf(text: string): number | undefined {
  if (text === 'auto') return 0
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw usageError(`--live-port: expected a port from 1 to 65535, auto, or 0 for none; found "${text}"`)
  return port === 0 ? undefined : port
}
