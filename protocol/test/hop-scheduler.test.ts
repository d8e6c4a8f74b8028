import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { entryHeaderBytes, type OutgoingPacket, recordBytesMax, recordEntriesMax, recordOverheadBytes } from '../src/hop/record.ts'
import { SendScheduler } from '../src/hop/send-scheduler.ts'
import { controlBytesMax, PACKET_KIND } from '../src/index.ts'

function add(scheduler: SendScheduler, circuit: number, bytes: number, kind: number = PACKET_KIND.data, counter = 0): void {
  const pieces = [new Uint8Array(bytes)]
  scheduler.addPacket({ circuit, header: { form: 0, kind, epoch: 0, counter }, pieces, bytes })
}

function all(scheduler: SendScheduler): OutgoingPacket[] {
  const sent: OutgoingPacket[] = []
  for (let content = scheduler.take(); content !== undefined; content = scheduler.take()) sent.push(...content.packets)
  return sent
}

test('a circuit with a huge queue does not starve another', () => {
  const scheduler = new SendScheduler(recordBytesMax)
  for (let index = 0; index < 1_000; index += 1) add(scheduler, 1, 65_000)
  for (let index = 0; index < 20; index += 1) add(scheduler, 2, 1_000)
  const [first] = [scheduler.take()!]
  expect(first.packets.filter(({ circuit }) => circuit === 2)).toHaveLength(20)
})

test('backlogged circuits get equal bytes, whatever their packet sizes', () => {
  const scheduler = new SendScheduler(recordBytesMax)
  const sizes = [65_000, 16_000, 1_200, 300]
  sizes.forEach((bytes, index) => {
    for (let sent = 0; sent < 8_000_000; sent += bytes) add(scheduler, index + 1, bytes)
  })
  const bytesOf = new Map<number, number>()
  for (let total = 0; total < 8_000_000; ) {
    for (const { circuit, bytes } of scheduler.take()!.packets) {
      total += bytes + entryHeaderBytes
      bytesOf.set(circuit, (bytesOf.get(circuit) ?? 0) + bytes + entryHeaderBytes)
    }
  }
  const shares = [...bytesOf.values()]
  expect(shares).toHaveLength(4)
  // Deficit round robin is off by at most a quantum and a packet.
  expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(3 * 65_556)
})

describe('loose and handshake packets', () => {
  test.each([PACKET_KIND.loose, PACKET_KIND.handshake, PACKET_KIND.datagram])('of kind %i overtake queued data', (kind) => {
    const scheduler = new SendScheduler(recordBytesMax)
    for (let index = 0; index < 100; index += 1) add(scheduler, 1, 60_000)
    add(scheduler, 1, 40, kind)
    add(scheduler, 2, 40, kind)
    expect(
      scheduler
        .take()!
        .packets.slice(0, 2)
        .map(({ header }) => header.kind),
    ).toEqual([kind, kind])
  })

  test('never starve data', () => {
    const scheduler = new SendScheduler(recordBytesMax)
    for (let index = 0; index < 1_000; index += 1) add(scheduler, 1, 1_200, PACKET_KIND.loose)
    add(scheduler, 2, 60_000)
    expect(scheduler.take()!.packets.some(({ circuit }) => circuit === 2)).toBe(true)
  })
})

test('control goes before packets, and never starves them', () => {
  const scheduler = new SendScheduler(recordBytesMax)
  add(scheduler, 1, 100)
  for (let index = 0; index < 200; index += 1) scheduler.addControl(new Uint8Array(10))
  const content = scheduler.take()!
  expect(content.controls).toHaveLength(32)
  expect(content.packets).toHaveLength(1)
})

test('whatever is queued comes out once, in order per circuit and class, in records within every bound', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          circuit: fc.integer({ min: 1, max: 600 }).map((value) => (value > 300 ? value : (value % 4) + 1)),
          bytes: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 65_536 })),
          loose: fc.boolean(),
          control: fc.integer({ min: 0, max: 5_000 }),
          take: fc.boolean(),
        }),
        { maxLength: 300 },
      ),
      fc.constantFrom(recordBytesMax, 73_728),
      (steps, bytesMax) => {
        const scheduler = new SendScheduler(bytesMax)
        const expected = new Map<string, number[]>()
        const found = new Map<string, number[]>()
        let controls = 0
        let queued = 0
        const take = (): boolean => {
          const content = scheduler.take()
          if (content === undefined) return false
          const size = (bytes: number, { length }: { length: number }): number => bytes + entryHeaderBytes + length
          const controlBytes = content.controls.reduce((bytes, { length }) => bytes + length, 0)
          let total = recordOverheadBytes + content.controls.reduce(size, 0)
          for (const packet of content.packets) {
            total += packet.bytes + entryHeaderBytes
            queued -= packet.bytes
            const name = `${packet.circuit} ${packet.header.kind}`
            found.set(name, [...(found.get(name) ?? []), packet.header.counter])
          }
          controls -= content.controls.length
          expect(total).toBeLessThanOrEqual(bytesMax)
          expect(controlBytes).toBeLessThanOrEqual(controlBytesMax)
          expect(content.controls.length + content.packets.length).toBeLessThanOrEqual(recordEntriesMax)
          expect(content.controls.length + content.packets.length).toBeGreaterThan(0)
          return true
        }
        steps.forEach(({ circuit, bytes, loose, control, take: now }, index) => {
          const kind = loose ? PACKET_KIND.loose : PACKET_KIND.data
          add(scheduler, circuit, bytes, kind, index)
          queued += bytes
          const name = `${circuit} ${kind}`
          expected.set(name, [...(expected.get(name) ?? []), index])
          if (control > 0) {
            scheduler.addControl(new Uint8Array(control))
            controls += 1
          }
          if (now) take()
          expect(scheduler.queuedBytes()).toBe(queued)
        })
        while (take());
        expect(found).toEqual(expected)
        expect([controls, queued, scheduler.queuedBytes()]).toEqual([0, 0, 0])
      },
    ),
    { numRuns: 100 },
  )
})

test('a dropped circuit is forgotten, the others go on', () => {
  const scheduler = new SendScheduler(recordBytesMax)
  for (let index = 0; index < 10; index += 1) {
    add(scheduler, 1, 50_000)
    add(scheduler, 2, 50_000)
    add(scheduler, 1, 50, PACKET_KIND.loose)
  }
  scheduler.take()
  scheduler.dropCircuit(1)
  expect(scheduler.queuedBytes(1)).toBe(0)
  expect(all(scheduler).every(({ circuit }) => circuit === 2)).toBe(true)
  add(scheduler, 1, 10)
  expect(all(scheduler)).toHaveLength(1)
})

test('datagrams overtake kept packets, and loose ones overtake datagrams, however many wait', () => {
  const scheduler = new SendScheduler(recordBytesMax)
  for (let index = 0; index < 50; index += 1) add(scheduler, 1, 60_000, PACKET_KIND.data)
  for (let index = 0; index < 50; index += 1) add(scheduler, 1, 20_000, PACKET_KIND.datagram)
  add(scheduler, 1, 40, PACKET_KIND.loose)
  expect(scheduler.queuedDatagramBytes(1)).toBe(1_000_000)
  expect(scheduler.queuedBytes(1)).toBe(4_000_040)
  const kinds = scheduler.take()!.packets.map(({ header }) => header.kind)
  expect(kinds[0]).toBe(PACKET_KIND.loose)
  // What overtakes takes a quarter of the record at most, and the rest is the kept packets'.
  expect(kinds.filter((kind) => kind === PACKET_KIND.datagram)).toHaveLength(3)
  expect(kinds.filter((kind) => kind === PACKET_KIND.data)).toHaveLength(3)
  const rest = all(scheduler)
  expect(rest).toHaveLength(47 + 47)
  expect(scheduler.queuedDatagramBytes(1)).toBe(0)
  expect(scheduler.hasWork).toBe(false)
})

test('a dropped circuit takes its datagrams along', () => {
  const scheduler = new SendScheduler(recordBytesMax)
  add(scheduler, 1, 500, PACKET_KIND.datagram)
  add(scheduler, 2, 400, PACKET_KIND.datagram)
  scheduler.dropCircuit(1)
  expect(scheduler.queuedBytes()).toBe(400)
  expect(all(scheduler).map(({ circuit }) => circuit)).toEqual([2])
})
