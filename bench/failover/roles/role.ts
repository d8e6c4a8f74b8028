// One process of the scorecard: `node role.js NAME ARGS…`.
import { runFaultProxy } from './fault-proxy.ts'
import { runLibrarySink, runLibrarySource } from './library.ts'
import { runTcpSink, runTcpSource } from './tcp.ts'

const [name = '', ...args] = process.argv.slice(2)
const text = (index: number): string => args[index] ?? ''
const number = (index: number): number => Number(args[index])
const entry = (): { credential: string; relays: string; carrier: string } => ({ credential: text(0), relays: text(1), carrier: text(2) })

const roles: Record<string, () => void | Promise<void>> = {
  'tcp-source': () => runTcpSource(number(0)),
  'tcp-sink': () => runTcpSink(),
  'library-source': () => runLibrarySource(entry(), text(3), text(4), number(5)),
  'library-sink': () => runLibrarySink(entry()),
  'fault-proxy': () => runFaultProxy(number(0), text(1), number(2)),
}

const role = roles[name]
if (role === undefined) throw new Error(`expected one of ${Object.keys(roles).join(', ')}; found "${name}"`)
await role()
