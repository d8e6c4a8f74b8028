/**
 * Lets @grpc/grpc-js dial from a chosen local address. It has no option for that, but hands what a name resolves to straight to `net.connect`;
 * so names of a scheme of ours resolve to addresses that carry one. Exact pin, and a test that asks the relay where the call came from.
 */

import { lookup } from 'node:dns/promises'
import net from 'node:net'
import { experimental, Metadata, status } from '@grpc/grpc-js'

const scheme = 'sennit-from'

/** The target of a client that reaches `host` from `localAddress`. */
export function fromAddress(localAddress: string, host: string, port: number): string {
  return `${scheme}:${localAddress}|${host}|${port}`
}

class FromAddressResolver implements experimental.Resolver {
  readonly #path: string
  readonly #listener: experimental.ResolverListener
  #asked = false

  constructor(target: experimental.GrpcUri, listener: experimental.ResolverListener) {
    this.#path = target.path
    this.#listener = listener
  }

  /** For the name in TLS. */
  static getDefaultAuthority(target: experimental.GrpcUri): string {
    const [, host = '', port = ''] = target.path.split('|')
    return net.isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
  }

  updateResolution(): void {
    if (this.#asked) return
    this.#asked = true
    this.#resolve().then(
      (endpoints) => void this.#listener(experimental.statusOrFromValue(endpoints), {}, null, ''),
      ({ message }: Error) => {
        const error = experimental.statusOrFromError<experimental.Endpoint[]>({
          code: status.UNAVAILABLE,
          details: `Name resolution failed: ${message}`,
          metadata: new Metadata(),
        })
        this.#listener(error, {}, null, '')
      },
    )
  }

  destroy(): void {
    this.#asked = false
  }

  async #resolve(): Promise<experimental.Endpoint[]> {
    const [localAddress = '', name = '', port = ''] = this.#path.split('|')
    const family = net.isIP(localAddress)
    const hosts = net.isIP(name) === 0 ? (await lookup(name, { all: true, family })).map(({ address }) => address) : [name]
    return hosts.map((host) => ({ addresses: [{ host, port: Number(port), localAddress }] }))
  }
}

// The registry is the library's own, one for the process.
experimental.registerResolver(scheme, FromAddressResolver)
