// What every command that stays has in common: it tells what happens to its relays, answers `sennit status`, and ends when it is refused for good.
import type { Client, ClientEvent } from '@sennit/client'
import { type CommonOptions, runDirectory } from './client-options.ts'
import { type ControlSocket, openControlSocket } from './control-socket.ts'
import { codedError } from './exit-codes.ts'
import type { Output } from './output.ts'

/** A relay that answers like this will not answer otherwise, however often it is asked: the credential, or this program, must change. */
const finalCode = /^(certificate_\w+|revoked|key_mismatch|wrong_mesh|out_of_date|incompatible)$/

/** Opens the control socket of a client command. A folder that cannot be written costs the status, not the service. */
export async function serveStatus(command: string, options: CommonOptions, client: Client, out: Output): Promise<ControlSocket> {
  return await openControlSocketOrNote(runDirectory(options), () => ({ pid: process.pid, command, ...client.status() }), out)
}

/** As {@link openControlSocket}, with a note instead of an error. */
export async function openControlSocketOrNote(directory: string | undefined, status: () => object, out: Output): Promise<ControlSocket> {
  try {
    return await openControlSocket(directory, status)
  } catch (error) {
    out.note(`\`sennit status\` will not show this process: no control socket in ${directory}: ${(error as Error).message}`)
    return { close: async () => {} }
  }
}

/** Notes what happens to relays: what came, what went, and a failure once, not each time it is met again. @returns stops it */
export function tellEvents(client: Client, out: Output): () => void {
  const failing = new Map<string, string>()
  return client.on((event: ClientEvent) => {
    switch (event.type) {
      case 'attached':
        failing.delete(event.relayId)
        return out.note(`attached to ${event.relayId} over ${event.carrier}`, { event })
      case 'detached':
        failing.set(event.relayId, event.code)
        return out.note(`lost ${event.relayId}: ${event.message === '' ? event.code : event.message}`, { event })
      case 'dial_failed':
        if (failing.get(event.relayId) === event.code) return
        failing.set(event.relayId, event.code)
        return out.note(`${event.relayId} cannot be reached: ${event.message === '' ? event.code : event.message}`, { event })
      case 'relay_draining':
        return out.note(`${event.relayId} is going away; moving to other relays`, { event })
      case 'caller_refused':
        return out.note(`refused a call of ${event.peer} for ${event.application}: ${event.message} [${event.code}]`, { event })
      case 'refused_by_caller':
        return out.note(`${event.peer} refuses us as its answer for ${event.application}: ${event.code}`, { event })
      case 'listen_refused':
        return out.note(`${event.relayId} refuses to let us listen: ${event.message} [${event.code}]`, { event })
      default:
    }
  })
}

/**
 * Rejects when every relay that was tried refuses this client for a reason that no waiting changes (a certificate that was revoked or has
 * expired), and none serves it any more. Never resolves.
 */
export function untilRefused(client: Client): Promise<never> {
  return new Promise((_, reject) => {
    const refusals = new Map<string, { code: string; message: string }>()
    const others = new Set<string>()
    const stop = client.on((event) => {
      if (event.type === 'attached') {
        refusals.delete(event.relayId)
        others.add(event.relayId)
        return
      }
      if (event.type !== 'dial_failed' && event.type !== 'detached') return
      if (!finalCode.test(event.code)) {
        // A relay that is only unreachable neither refuses nor serves: it does not outvote the others.
        others.delete(event.relayId)
        return
      }
      others.delete(event.relayId)
      refusals.set(event.relayId, event)
      if (others.size > 0) return
      const answers = [...refusals].map(([relay, { code, message }]) => `${relay}: ${message === '' ? code : message}`)
      stop()
      reject(codedError(event.code, `the relays refuse this client (${answers.join('; ')})`, { answers }))
    })
    for (const relay of client.relays()) if (relay.state === 'attached') others.add(relay.relay)
  })
}
