// Messages over a bare byte stream: a 2-byte length, then the body. What a program without Sennit would write by hand.

/** Bytes of one message in every message benchmark. */
export const messageBytes = 100
/** Writes are filled to this, as a careful program would. */
export const writeBytes: number = 64 * 1024

/** What each source does before its clock starts: code is compiled while it runs, and a source is a new process. */
export function warmUpOf(mode: string, amount: number): number {
  return mode === 'E' ? Math.max(warmRounds, Math.ceil(amount / 4)) : Math.ceil(amount / 4)
}

/** Round trips are few and short: the first 1 250 of a new process were seen to take three times as long as the later ones. */
const warmRounds = 10_000

export interface MessageCounter {
  push(chunk: Uint8Array): void
  readonly count: number
}

/** Takes the stream apart again and hands each message out as a slice, as a receiver must. */
export function createMessageCounter(onMessage: (message: Uint8Array) => void = () => {}): MessageCounter {
  let rest: Buffer = Buffer.alloc(0)
  let count = 0
  return {
    push(chunk) {
      let data = rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : Buffer.concat([rest, chunk])
      while (data.length >= 2) {
        const end = 2 + data.readUInt16BE(0)
        if (data.length < end) break
        onMessage(data.subarray(2, end))
        count += 1
        data = data.subarray(end)
      }
      rest = data
    },
    get count() {
      return count
    },
  }
}

/** Yields writes of up to 64 KiB that hold `count` messages in all; each message is made anew, as in life. */
export function* filledWrites(count: number): Generator<Buffer> {
  const perWrite = Math.floor(writeBytes / (messageBytes + 2))
  for (let left = count; left > 0; left -= perWrite) {
    const here = Math.min(left, perWrite)
    const buffer = Buffer.allocUnsafe(here * (messageBytes + 2))
    for (let index = 0; index < here; index += 1) {
      const at = index * (messageBytes + 2)
      buffer.writeUInt16BE(messageBytes, at)
      buffer.fill(index & 0xff, at + 2, at + 2 + messageBytes)
    }
    yield buffer
  }
}
