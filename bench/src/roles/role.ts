// One process of a benchmark: `node role.js NAME ARGS…`.
import { growHeapFast } from '@sennit/client'
import { runBareRelay } from './bare-relay.ts'
import { runFlooder } from './flooder.ts'
import { runIdleClients } from './idle-clients.ts'
import { runLibrarySink, runLibrarySource } from './library.ts'
import { runExpose, runForward, runRelay } from './sennit.ts'
import { runTcpSink } from './tcp-sink.ts'
import { runTcpSource } from './tcp-source.ts'

const [name = '', ...args] = process.argv.slice(2)
const text = (index: number): string => args[index] ?? ''
const number = (index: number): number => Number(args[index])

const roles: Record<string, () => void | Promise<void>> = {
  'tcp-sink': () => runTcpSink(),
  'tcp-source': () => runTcpSource(number(0), text(1), number(2)),
  'bare-relay': () => runBareRelay(number(0)),
  'library-sink': () => runLibrarySink(text(0), text(1)),
  'library-source': () => runLibrarySource(text(0), text(1), text(2), text(3), number(4)),
  relay: () => runRelay(text(0)),
  'idle-clients': () => runIdleClients(text(0), text(1), number(2), number(3), args.slice(4)),
  flooder: () => runFlooder(number(0), text(1), number(2)),
  expose: () => runExpose(text(0), text(1), number(2)),
  forward: () => runForward(text(0), text(1), text(2)),
}

const role = roles[name]
if (role === undefined) throw new Error(`expected one of ${Object.keys(roles).join(', ')}; found "${name}"`)
// A benchmark that is interrupted leaves nothing behind: each role ends with its parent.
process.stdin.on('end', () => process.exit(0)).resume()
// As `sennit` does; and no heap of its peers is kept smaller than ours.
growHeapFast()
await role()
if (name.endsWith('-source')) process.exit(0)
