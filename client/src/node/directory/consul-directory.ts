/** Consul as a source: the signed list that the signer keeps there, and the relays that are registered, for a mesh without a signer. */

import type { ConsulAgent } from '@sennit/protocol/node'
import type { Directory, DirectoryListener, DirectoryNews } from './directory.ts'

export class ConsulDirectory implements Directory {
  readonly name: string
  readonly #agent: ConsulAgent

  constructor(agent: ConsulAgent) {
    this.#agent = agent
    this.name = agent.name
  }

  /** @throws SennitError `consul_failed` */
  async read(): Promise<DirectoryNews> {
    const [signed, seen] = await Promise.all([this.#agent.list(), this.#agent.relays()])
    return { seen, ...(signed === undefined ? {} : { signed }) }
  }

  watch(listener: DirectoryListener): () => void {
    const trouble = listener.trouble.bind(listener)
    const stops = [
      this.#agent.watchList({ news: (signed) => listener.news({ signed }), trouble }),
      this.#agent.watchRelays({ news: (seen, afterGap) => listener.news({ seen, afterGap }), trouble }),
    ]
    return () => {
      for (const stop of stops) stop()
    }
  }

  close(): void {
    this.#agent.close()
  }
}
