/**
 * Links: a client with several local addresses attaches to each relay once from each. The first link has the relay's own id, the second is
 * `r1#2`. A path is named by a link id that both ends know: who has no such link takes one of his own at the same relay (docs/decisions/0012).
 */
import { relayIdBytesMax, utf8 } from '@sennit/protocol'

/** Which of the links to a relay it is. */
export interface LinkFacts {
  readonly id: string
  /** Dialled from there. @default as the system chooses */
  readonly localAddress?: string | undefined
}

/** No relay id has it. */
const mark = '#'

/** Id of the link of that number, from 1; undefined when the relay's id leaves no room for it on the wire. */
export function linkId(relayId: string, number: number): string | undefined {
  if (number === 1) return relayId
  const id = `${relayId}${mark}${number}`
  return utf8(id).length > relayIdBytesMax ? undefined : id
}

/** The relay of a link. */
export function relayOf(linkId: string): string {
  const at = linkId.indexOf(mark)
  return at < 0 ? linkId : linkId.slice(0, at)
}

/** From 1. */
export function linkNumber(linkId: string): number {
  const at = linkId.indexOf(mark)
  const number = at < 0 ? 1 : Number(linkId.slice(at + 1))
  return Number.isInteger(number) && number > 0 ? number : 1
}

/** What can fail with another: the same relay, over whatever link, or a relay of the same failure domain. */
export interface FailsTogether {
  readonly relayId: string
  readonly failureDomain: string | undefined
}

export function failTogether(left: FailsTogether, right: FailsTogether): boolean {
  if (relayOf(left.relayId) === relayOf(right.relayId)) return true
  return left.failureDomain !== undefined && left.failureDomain === right.failureDomain
}
