import { usageError } from './exit-codes.ts'

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, y: 365 * 86_400_000 }

/** `250ms`, `30s`, `5m`, `2h`, `30d`, `1y` in milliseconds. */
export function parseDuration(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|y)$/.exec(text.trim())
  const unit = units[match?.[2] ?? '']
  if (match === null || unit === undefined) throw usageError(`${option}: expected a duration such as 250ms, 30s or 5m; found "${text}"`)
  return Number(match[1]) * unit
}

/** `8080`, `127.0.0.1:8080`, `[::1]:8080`. Without a host the fallback stands. */
export function parseAddress(text: string, option: string, fallbackHost = '127.0.0.1'): { host: string; port: number } {
  const match = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text.trim())
  const port = Number(match?.[3])
  if (match === null || port > 65_535) throw usageError(`${option}: expected PORT or HOST:PORT such as 127.0.0.1:8080; found "${text}"`)
  return { host: match[1] ?? match[2] ?? fallbackHost, port }
}

/** `bob/postgres`, or `bob/laptop/postgres` for the client of bob that carries the label `laptop`. */
export function parseTarget(text: string, fallbackApplication?: string): { user: string; application: string } {
  const parts = text.split('/')
  if (parts.some((part) => part === '') || parts.length > 3) {
    throw usageError(`expected USER/APP (or USER/LABEL/APP); found "${text}"`)
  }
  const [user = '', ...rest] = parts
  const application = rest.pop() ?? fallbackApplication
  if (application === undefined) throw usageError(`expected USER/APP; found "${text}". Name the application, as in ${text}/web`)
  return { user: rest.length === 1 ? `${user}/${rest[0]}` : user, application }
}
