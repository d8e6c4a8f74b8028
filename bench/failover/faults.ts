/** The faults of the scorecard: the same for every system, done to the one process in the middle that carries the stream. */
import { pause, type Server } from './processes.ts'
import type { Rig } from './systems/system.ts'

/** A killed or ended relay is started again so long after its end: a quick service manager. */
const restartMs = 1_000
/** A relay that does not end by itself on SIGTERM is killed after this, as service managers do. */
const termMs = 10_000

export type FaultName = 'kill' | 'freeze' | 'cut' | 'term' | 'reset'

export interface Fault {
  readonly name: FaultName
  /** For people. */
  readonly what: string
  /** Done by the network: servers stand behind fault proxies. */
  readonly network: boolean
  /** Rounds are this far apart at least; without it as soon as everything is as before. */
  readonly everyMs?: number
  begin(server: Server, rig: Rig): void | Promise<void>
  /** Ends the fault; resolves when the server is there again. For kill and term that is a start after {@link restartMs}. */
  heal(server: Server, rig: Rig): Promise<void>
  /** The fault lasts until the stream flows again, or the longest time; others end by themselves. */
  readonly lasting: boolean
}

export const faults: readonly Fault[] = [
  {
    name: 'kill',
    what: `kill -9 of the relay in use; it is started again ${restartMs} ms later`,
    network: false,
    lasting: false,
    begin: (server) => server.running.signalTree('SIGKILL'),
    async heal(server) {
      await server.running.exited
      await pause(restartMs)
      await server.start()
    },
  },
  {
    name: 'freeze',
    what: 'SIGSTOP of the relay in use',
    network: false,
    lasting: true,
    begin: (server) => server.running.signalTree('SIGSTOP'),
    heal: async (server) => server.running.signalTree('SIGCONT'),
  },
  {
    name: 'cut',
    what: 'every packet from and to the relay in use vanishes; nobody is told',
    network: true,
    lasting: true,
    begin: (server, rig) => rig.network(server, 'cut'),
    heal: (server, rig) => rig.network(server, 'heal'),
  },
  {
    name: 'term',
    what: `SIGTERM to the relay in use, as a service manager stops it; it is started again ${restartMs} ms after its end`,
    network: false,
    lasting: false,
    begin: (server) => server.running.signal('SIGTERM'),
    async heal(server) {
      const late = setTimeout(() => server.running.signalTree('SIGKILL'), termMs)
      await server.running.exited
      clearTimeout(late)
      await pause(restartMs)
      await server.start()
    },
  },
  {
    name: 'reset',
    what: 'every connection to the relay in use is reset, every 5 s',
    network: true,
    everyMs: 5_000,
    lasting: false,
    begin: (server, rig) => rig.network(server, 'reset'),
    heal: async () => {},
  },
]
