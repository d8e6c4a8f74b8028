// Draws from the distributions of a workbook: message sizes as a pure function of (seed, direction, index), so that both ends, a second
// machine and a replay agree without a word.
import type { Distribution, FlowDirection } from '../plan.ts'
import { keystreamKey, mix32 } from './keystream.ts'
import { messageBytesMin } from './message.ts'

/** No message is larger: the connection's `maxMessageBytes`. */
export const messageBytesMax: number = 64 * 1024 * 1024

/** No datagram is larger (docs/client.md). */
export const datagramBytesMax = 65_280

/** Size in bytes of message `index` of a direction. */
export function messageSize(seed: number, direction: FlowDirection, index: number): number {
  const size =
    direction.size.kind === 'const' ? direction.size.value : sample(direction.size, keystreamKey(seed, direction.direction), index)
  return Math.min(direction.mode === 'datagram' ? datagramBytesMax : messageBytesMax, Math.max(messageBytesMin, Math.round(size)))
}

/** What draws come to on average. */
export function meanOf(distribution: Distribution): number {
  switch (distribution.kind) {
    case 'const':
      return distribution.value
    case 'uniform':
      return (distribution.from + distribution.to) / 2
    case 'normal':
    case 'exp':
      return distribution.mean
    case 'lognormal':
      return distribution.median * Math.exp(distribution.sigma ** 2 / 2)
    case 'mix':
      return distribution.parts.reduce((sum, { value, share }) => sum + value * share, 0)
  }
}

/** A draw of the distribution: the same (key, index) gives the same number. */
export function sample(distribution: Distribution, key: number, index: number): number {
  const first = fraction(key ^ 0x51ed270b, index)
  switch (distribution.kind) {
    case 'const':
      return distribution.value
    case 'uniform':
      return distribution.from + first * (distribution.to - distribution.from)
    case 'normal':
      return distribution.mean + distribution.deviation * gauss(first, fraction(key ^ 0x68e31da4, index))
    case 'lognormal':
      return distribution.median * Math.exp(distribution.sigma * gauss(first, fraction(key ^ 0x68e31da4, index)))
    case 'exp':
      return -distribution.mean * Math.log(1 - first)
    case 'mix':
      return pick(distribution.parts, first)
  }
}

/** A number in [0, 1). */
function fraction(key: number, index: number): number {
  return mix32(mix32(key) ^ mix32(index + 0x7f4a7c15)) / 0x1_0000_0000
}

/** Box and Muller; 1 − u keeps the logarithm away from zero. */
function gauss(u: number, v: number): number {
  return Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * v)
}

function pick(parts: readonly { value: number; share: number }[], at: number): number {
  let sum = 0
  for (const part of parts) {
    sum += part.share
    if (at < sum) return part.value
  }
  return parts.at(-1)?.value ?? 0
}
