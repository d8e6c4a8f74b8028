/** Picks the carrier of a dial by its name. */

import { SennitError } from '@sennit/protocol'
import type { Carrier, CarrierEvents, DialRequest } from './carrier.ts'
import { dialGrpc } from './carrier-grpc.ts'
import { dialHttp, HttpWays } from './carrier-http.ts'
import { dialUpgrade } from './carrier-upgrade.ts'
import { DialGate } from './dial-gate.ts'

/** One for all clients of the process: it is the process that stands still under too many. */
const gate = new DialGate()

/** Dials carriers, and remembers what it learnt about the network between two dials. */
export class Dialler {
  readonly #ways = new HttpWays()

  /** Begins a dial. All events come later, never inside this call. @throws SennitError `carrier_unknown` */
  dial(request: DialRequest, events: CarrierEvents): Carrier {
    return gate.dial(request.url, (gated) => this.#dial(request, gated), events)
  }

  #dial(request: DialRequest, events: CarrierEvents): Carrier {
    switch (request.carrier) {
      case 'upgrade':
        return dialUpgrade(request, events)
      case 'http':
        return dialHttp(request, events, this.#ways)
      case 'grpc':
        return dialGrpc(request, events)
      default:
        throw new SennitError('carrier_unknown', `expected a carrier upgrade, http or grpc, found ${request.carrier}`)
    }
  }
}
