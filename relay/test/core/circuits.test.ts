import { PACKET_KIND } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { bytes, pair, type RawClient, World } from './world.ts'

const mib = 1024 * 1024

/** Sends whole packets up to a number of bytes. */
function fill(client: RawClient, circuit: number, total: number): void {
  for (let left = total; left > 0; left -= 65_536) client.send(circuit, Math.min(65_536, left))
}

/** Circuits of alice's, all to bob. */
function manyCircuits(world: World, count: number): { readonly a: RawClient; readonly b: RawClient; readonly circuits: readonly number[] } {
  const a = world.attach('alice')
  const b = world.attach('bob').listen('chat')
  const circuits = Array.from({ length: count }, (_, requestId) => {
    a.connect('bob', 'chat', { requestId, connectionId: bytes(16, requestId) })
    b.say({ type: 'answer', offerId: b.heard('offer').offerId, handshake: bytes(64, 1) })
    return a.heard('connected').circuit
  })
  return { a, b, circuits }
}

const credits = (client: RawClient, circuit: number): { limit: number; wait: boolean }[] =>
  client.controls.flatMap((message) => (message.type === 'circuitCredit' && message.circuit === circuit ? [message] : []))

describe('joining', () => {
  const tag = bytes(16, 99)

  it('couples two that show one tag and name each other', () => {
    const world = new World()
    const a = world.attach('alice', { label: 'x' })
    const b = world.attach('bob')
    a.say({ type: 'join', joinId: 4, tag, user: 'bob', label: '' })
    expect(world.machine.stats().pendingJoins).toBe(1)
    b.say({ type: 'join', joinId: 9, tag, user: 'alice', label: 'x' })
    const { circuit, joinId } = a.heard('joined')
    expect(joinId).toBe(4)
    a.send(circuit, 100)
    world.settle()
    expect(b.packets).toMatchObject([{ circuit: b.heard('joined').circuit, bytes: 100 }])
    expect(world.machine.stats()).toMatchObject({ pendingJoins: 0, circuits: 1 })
  })

  const strangers: { why: string; user: string; label?: string; names: string; namesLabel?: string; tag?: Uint8Array }[] = [
    { why: 'another tag is shown', user: 'bob', names: 'alice', tag: bytes(16, 98) },
    { why: 'the tag is shown by somebody else', user: 'carol', names: 'alice' },
    { why: 'somebody else is named', user: 'bob', names: 'carol' },
    { why: 'the label is another', user: 'bob', label: 'y', names: 'alice' },
    { why: 'the named label is another', user: 'bob', names: 'alice', namesLabel: 'z' },
  ]

  it.each(strangers)('couples nobody when $why', (row) => {
    const world = new World()
    const a = world.attach('alice')
    a.say({ type: 'join', joinId: 1, tag, user: 'bob', label: '' })
    const other = world.attach(row.user, { label: row.label ?? '' })
    other.say({ type: 'join', joinId: 1, tag: row.tag ?? tag, user: row.names, label: row.namesLabel ?? '' })
    expect(a.maybe('joined')).toBeUndefined()
    // A stranger does not stop the right one.
    const b = world.attach('bob')
    b.say({ type: 'join', joinId: 2, tag, user: 'alice', label: '' })
    expect(a.maybe('joined')).toBeDefined()
  })

  it('waits without end, until left or detached', () => {
    const world = new World()
    const a = world.attach('alice')
    a.say({ type: 'join', joinId: 1, tag, user: 'bob', label: '' })
    world.pass(300_000)
    expect(world.machine.stats().pendingJoins).toBe(1)
    a.say({ type: 'leave', joinId: 1 }).say({ type: 'leave', joinId: 77 })
    expect(world.machine.stats().pendingJoins).toBe(0)
    a.say({ type: 'join', joinId: 2, tag, user: 'bob', label: '' }).drop()
    expect(world.machine.stats().pendingJoins).toBe(0)
  })

  it('refuses too many', () => {
    const world = new World({ limits: { joinsPerAttachment: 2 } })
    const a = world.attach('alice')
    for (const joinId of [2, 3, 4]) a.say({ type: 'join', joinId, tag: bytes(16, joinId), user: 'bob', label: '' })
    expect(a.heard('joinRefused')).toMatchObject({ joinId: 4, code: 'limit' })
  })
})

// A client's socket dies without a word and it dials again; the relay, which would find out after up to 18 s, still holds what it had.
describe('a client that is back before its old attachment is known to be dead', () => {
  const tag = bytes(16, 99)
  const join = (client: RawClient, user: string, joinId: number, shown = tag): RawClient =>
    client.say({ type: 'join', joinId, tag: shown, user, label: '' })

  /** alice and bob, coupled by a JOIN; alice's carrier takes nothing from now on, and nobody knows. */
  function coupled(): { world: World; old: RawClient; bob: RawClient; circuit: number } {
    const world = new World()
    const [old, bob] = [world.attach('alice', { instance: 7 }), world.attach('bob')]
    join(old, 'bob', 1)
    join(bob, 'alice', 1)
    const { circuit } = bob.heard('joined')
    old.freeze()
    return { world, old, bob, circuit }
  }

  it('joins again: its older circuit ends, the other end hears it, joins too, and both are coupled anew', () => {
    const { world, bob, circuit } = coupled()
    const alice = join(world.attach('alice', { instance: 7 }), 'bob', 2)
    expect(bob.heard('circuitClose')).toEqual({ type: 'circuitClose', circuit, reason: 'replaced' })
    join(bob, 'alice', 2)
    const joined = alice.heard('joined')
    alice.send(joined.circuit, 100)
    world.settle()
    expect(bob.packets).toMatchObject([{ circuit: bob.heard('joined').circuit, bytes: 100 }])
    expect(world.machine.stats()).toMatchObject({ circuits: 1, pendingJoins: 0 })
  })

  it('joins again while its old JOIN still waits: the other end meets the new one', () => {
    const world = new World()
    const old = join(world.attach('alice', { instance: 7 }), 'bob', 1)
    const alice = join(world.attach('alice', { instance: 7 }), 'bob', 2)
    expect(old.heard('joinRefused')).toMatchObject({ joinId: 1, code: 'replaced' })
    join(world.attach('bob'), 'alice', 1)
    expect(alice.maybe('joined')).toBeDefined()
    expect(old.maybe('joined')).toBeUndefined()
  })

  const others: { who: string; again(world: World): RawClient }[] = [
    { who: 'another user that knows the tag', again: (world) => join(world.attach('carol', { instance: 7 }), 'bob', 2) },
    { who: 'the peer itself', again: (world) => join(world.attach('bob', { instance: 7 }), 'bob', 2) },
    { who: 'another process of the user', again: (world) => join(world.attach('alice', { instance: 8 }), 'bob', 2) },
    { who: 'another label of the user', again: (world) => join(world.attach('alice', { instance: 7, label: 'x' }), 'bob', 2) },
    { who: 'the same client with another tag', again: (world) => join(world.attach('alice', { instance: 7 }), 'bob', 2, bytes(16, 98)) },
    { who: 'the same client for another peer', again: (world) => join(world.attach('alice', { instance: 7 }), 'carol', 2) },
  ]

  it.each(others)('$who ends no circuit', ({ again }) => {
    const { world, bob } = coupled()
    again(world)
    expect(bob.maybe('circuitClose')).toBeUndefined()
    expect(world.machine.stats().circuits).toBe(1)
  })

  /** alice and bob, coupled by a call whose circuit alice named; her carrier takes nothing from now on. */
  function called(): { world: World; bob: RawClient; circuit: number } {
    const world = new World()
    const { a, b, circuitA, circuitB } = pair(world, 'alice', 'bob', 7)
    a.say({ type: 'circuitTag', circuit: circuitA, tag })
    a.freeze()
    return { world, bob: b, circuit: circuitB }
  }

  it('joins in place of a circuit that began with a call and whose tag it told', () => {
    const { world, bob, circuit } = called()
    const alice = join(world.attach('alice', { instance: 7 }), 'bob', 2)
    expect(bob.heard('circuitClose')).toEqual({ type: 'circuitClose', circuit, reason: 'replaced' })
    join(bob, 'alice', 2)
    expect(alice.maybe('joined')).toBeDefined()
    expect(world.machine.stats()).toMatchObject({ circuits: 1, pendingJoins: 0 })
  })

  it.each(others)('$who ends no circuit that began with a call', ({ again }) => {
    const { world, bob } = called()
    again(world)
    expect(bob.maybe('circuitClose')).toBeUndefined()
    expect(world.machine.stats().circuits).toBe(1)
  })

  it('cannot name what is not its own, nor make another wait for it', () => {
    const world = new World()
    const { a, b, circuitA, circuitB } = pair(world, 'alice', 'bob', 7)
    // Numbers count per attachment: carol's names neither half, and a circuit that she has not is ignored.
    world.attach('carol', { instance: 7 }).say({ type: 'circuitTag', circuit: circuitA, tag })
    b.say({ type: 'circuitTag', circuit: circuitB + 1, tag })
    join(world.attach('alice', { instance: 7 }), 'bob', 2)
    expect(b.maybe('circuitClose')).toBeUndefined()
    a.send(circuitA, 100)
    world.settle()
    expect(b.packets).toHaveLength(1)
  })

  it('has its other attachments asked at once: a dead one, and a circuit that began with a call, is gone after three seconds', () => {
    const world = new World()
    const { a, b } = pair(world)
    a.freeze()
    world.attach('alice', { instance: a.key })
    world.pass(2_900)
    expect(b.maybe('circuitClose')).toBeUndefined()
    world.pass(200)
    expect(b.heard('circuitClose').reason).toBe('peer_detached')
  })

  it('keeps an other attachment that lives, with all it has: two links of one client', () => {
    const world = new World()
    const { a, b, circuitA } = pair(world)
    world.attach('alice', { instance: a.key })
    world.pass(10_000)
    a.send(circuitA, 100)
    world.settle()
    expect(b.packets).toHaveLength(1)
    expect(a.closed).toBeUndefined()
  })
})

describe('closing a circuit', () => {
  it('tells the other end', () => {
    const world = new World()
    const { a, b, circuitA, circuitB } = pair(world)
    a.say({ type: 'circuitClose', circuit: circuitA, reason: 'done' })
    expect(b.heard('circuitClose')).toMatchObject({ circuit: circuitB, reason: 'done' })
    expect(a.maybe('circuitClose')).toBeUndefined()
    expect(world.machine.stats()).toMatchObject({ circuits: 0, promisedBytes: 0 })
  })

  it('happens to all circuits of an attachment that ends', () => {
    const world = new World()
    const { a, b, circuitB } = pair(world)
    a.drop()
    expect(b.heard('circuitClose')).toMatchObject({ circuit: circuitB, reason: 'peer_detached' })
    expect(world.machine.stats()).toMatchObject({ circuits: 0, promisedBytes: 0, queuedBytes: 0 })
  })

  it('ignores packets of a circuit that is closed or never was', () => {
    const world = new World()
    const { a, b, circuitA } = pair(world)
    b.drop()
    a.send(circuitA, 100)
    a.send(4242, 100)
    world.settle()
    expect(a.closed).toBeUndefined()
  })
})

describe('hop credit', () => {
  it('starts with 1 MiB and grows as packets are delivered', () => {
    const world = new World()
    const { a, circuitA, creditA } = pair(world)
    expect(creditA).toBe(mib)
    fill(a, circuitA, mib)
    world.settle()
    const last = credits(a, circuitA).at(-1)!
    expect(last.limit).toBeGreaterThan(mib)
    expect(last.wait).toBe(false)
  })

  it('tells the source of a full carrier to wait each second, then to go on', () => {
    const world = new World()
    const { a, b, circuitA } = pair(world)
    b.block(true)
    fill(a, circuitA, mib)
    world.settle()
    expect(credits(a, circuitA)).toEqual([])
    world.pass(25)
    expect(credits(a, circuitA)).toMatchObject([{ limit: mib, wait: true }])
    world.pass(1000)
    expect(credits(a, circuitA)).toHaveLength(2)
    expect(world.machine.stats()).toMatchObject({ queuedBytes: mib, waitingCircuits: 1 })
    b.block(false)
    expect(credits(a, circuitA).at(-1)).toMatchObject({ wait: false })
    expect(credits(a, circuitA).at(-1)!.limit).toBeGreaterThanOrEqual(mib + 65_536)
    expect(world.machine.stats()).toMatchObject({ queuedBytes: 0, waitingCircuits: 0 })
  })

  it('tells nobody to wait who sends little, when all that it may promise is promised', () => {
    const world = new World({ limits: { memoryBytes: 131_072 } })
    const { a, b, circuitA, circuitB } = pair(world)
    for (let second = 0; second < 60; second += 1) {
      a.send(circuitA, 200)
      b.send(circuitB, 200)
      world.pass(1_000)
    }
    world.pass(1_000)
    expect([a.packets.length, b.packets.length]).toEqual([60, 60])
    // The window of one end is 64 KiB, a packet of the largest size, and most of it is left: there is nothing to say.
    expect([...credits(a, circuitA), ...credits(b, circuitB)]).toEqual([])
  })

  it('fills a window of one packet for each quarter that went through it, not for each small packet', () => {
    const world = new World({ limits: { memoryBytes: 131_072 } })
    const { a, b, circuitB } = pair(world)
    for (let packet = 0; packet < 1_000; packet += 1) {
      b.send(circuitB, 1_000)
      world.pass(25)
    }
    expect(a.packets).toHaveLength(1_000)
    const granted = credits(b, circuitB)
    expect(granted.filter(({ wait }) => wait)).toEqual([])
    expect(granted.at(-1)!.limit).toBeGreaterThanOrEqual(1_000 * 1_000 + 49_152)
    expect(granted.length).toBeLessThanOrEqual(1_000_000 / 16_384)
  })

  it('keeps to its memory also where no queue is full: many circuits wait for one reader', () => {
    const world = new World({ limits: { memoryBytes: mib } })
    const { a, b, circuits } = manyCircuits(world, 100)
    b.block(true)
    for (const circuit of circuits.slice(10)) {
      a.send(circuit, 15_000)
      a.send(circuit, 15_000)
      world.settle()
    }
    expect(world.machine.stats().queuedBytes).toBeLessThanOrEqual(mib)
    expect(world.machine.stats().refusals.memory).toBeGreaterThan(0)
  })

  it('closes the circuit of a source that goes over it', () => {
    const world = new World()
    const { a, b, circuitA } = pair(world)
    b.block(true)
    fill(a, circuitA, mib + 2 * 65_536)
    world.settle()
    expect(a.heard('circuitClose')).toMatchObject({ circuit: circuitA, reason: 'credit_exceeded' })
    expect(world.machine.stats().refusals.credit_exceeded).toBe(1)
    expect(a.closed).toBeUndefined()
    b.block(false)
    expect(b.heard('circuitClose').reason).toBe('credit_exceeded')
    expect(world.machine.stats().queuedBytes).toBe(0)
  })

  it('lets loose packets pass without credit, and drops them before they pile up', () => {
    const world = new World()
    const { a, b, circuitA } = pair(world)
    b.block(true)
    fill(a, circuitA, mib)
    for (let counter = 0; counter < 2000; counter += 1) a.send(circuitA, 1000, PACKET_KIND.loose, counter)
    world.settle()
    expect(world.machine.stats().queuedBytes).toBeLessThan(mib + 3 * 65_536)
    expect(world.machine.stats().droppedPackets).toBeGreaterThan(1000)
    expect(a.maybe('circuitClose')).toBeUndefined()
    expect(b.packets).toHaveLength(0)
  })

  it('copies small packets that wait for a full carrier, and never large ones', () => {
    const world = new World()
    const { a, b, circuitA } = pair(world)
    b.block(true)
    const header = { form: 0, kind: PACKET_KIND.data, epoch: 0 }
    a.link.sendPacket(circuitA, { ...header, counter: 1 }, [bytes(5000, 1).subarray(0, 100)])
    a.link.sendPacket(circuitA, { ...header, counter: 2 }, [bytes(100_000, 2).subarray(0, 60_000)])
    world.settle()
    b.block(false)
    expect(b.packets.map((packet) => [packet.bytes, packet.header.counter])).toEqual([
      [100, 1],
      [60_000, 2],
    ])
    // The world passes on what is written by reference, so a slice that was not copied still lies in the memory it was written from.
    expect(b.packets[0]!.pieces[0]!.buffer.byteLength).toBe(100)
    expect(b.packets[1]!.pieces[0]!.buffer.byteLength).toBe(100_000)
  })

  it('lets a slow circuit stop nobody else', () => {
    const world = new World()
    const { a, b, circuitA } = pair(world)
    const c = world.attach('carol').listen('chat')
    a.connect('carol', 'chat', { requestId: 2 })
    c.say({ type: 'answer', offerId: c.heard('offer').offerId, handshake: bytes(64, 1) })
    const { circuit } = a.heard('connected')
    b.block(true)
    fill(a, circuitA, mib)
    fill(a, circuit, mib)
    world.settle()
    expect(c.packets.reduce((sum, packet) => sum + packet.bytes, 0)).toBe(mib)
    expect(b.packets).toHaveLength(0)
  })

  it('promises one source at most a quarter of a destination', () => {
    const world = new World({ limits: { destinationBytes: 8 * mib } })
    const a = world.attach('alice')
    const b = world.attach('bob').listen('chat')
    const granted: number[] = []
    for (let requestId = 1; requestId <= 6; requestId += 1) {
      a.connect('bob', 'chat', { requestId, connectionId: bytes(16, requestId) })
      b.say({ type: 'answer', offerId: b.heard('offer').offerId, handshake: bytes(64, 1) })
      granted.push(a.heard('connected').credit)
    }
    expect(granted).toEqual([mib, mib, 65_536, 65_536, 65_536, 65_536])
  })

  it('follows the delivered rate up to 16 MiB, and down when a queue stands', () => {
    const world = new World()
    const { a, b, circuitA, creditA } = pair(world)
    let limit = creditA
    let used = 0
    const turn = (): void => {
      while (used + 65_536 <= limit) {
        a.send(circuitA, 65_536)
        used += 65_536
      }
      world.settle()
      for (const grant of credits(a, circuitA)) limit = Math.max(limit, grant.limit)
    }
    // Each round, all that credit allows is delivered within 5 ms: the window must not be what holds the source back.
    for (let round = 0; round < 60; round += 1) {
      turn()
      world.pass(5)
    }
    const wide = world.machine.stats().promisedBytes - mib
    expect(wide).toBeGreaterThan(4 * mib)
    expect(wide).toBeLessThanOrEqual(16 * mib)
    // Now the reader takes a little every 50 ms.
    for (let round = 0; round < 40; round += 1) {
      b.block(true)
      turn()
      world.pass(50)
      b.block(false)
    }
    expect(b.packets.length).toBeGreaterThan(0)
  })
})

describe('the memory brake', () => {
  it('couples nothing above 85 % and sheds the fullest above 95 %', () => {
    const memoryBytes = 4 * mib
    const world = new World({ limits: { memoryBytes, creditStartBytes: mib / 2 } })
    const { a, b, circuits } = manyCircuits(world, 9)
    b.block(true)
    for (const circuit of circuits.slice(0, 7)) fill(a, circuit, mib / 2)
    world.settle()
    expect(world.machine.stats().queuedBytes / memoryBytes).toBeCloseTo(0.875)
    a.connect('bob', 'chat', { requestId: 3 })
    expect(a.heard('result')).toMatchObject({ requestId: 3, code: 'limit' })
    a.say({ type: 'join', joinId: 1, tag: bytes(16, 1), user: 'bob', label: '' })
    expect(a.heard('joinRefused').code).toBe('limit')
    fill(a, circuits[7]!, mib / 2)
    world.settle()
    expect(a.heard('circuitClose')).toMatchObject({ reason: 'memory' })
    expect(world.machine.stats().refusals.memory).toBe(1)
    expect(world.machine.stats().queuedBytes / memoryBytes).toBeLessThan(0.95)
  })

  it('grants nothing above 70 %, and goes on as soon as there is room', () => {
    const world = new World({ limits: { memoryBytes: 2.7 * mib } })
    const { a, b, circuitA } = pair(world)
    const c = world.attach('carol').listen('chat')
    a.connect('carol', 'chat', { requestId: 2 })
    c.say({ type: 'answer', offerId: c.heard('offer').offerId, handshake: bytes(64, 1) })
    const { circuit } = a.heard('connected')
    const d = world.attach('carol', { label: 'd' }).listen('chat')
    a.connect('carol', 'chat', { requestId: 3, label: 'd' })
    d.say({ type: 'answer', offerId: d.heard('offer').offerId, handshake: bytes(64, 1) })
    const third = a.heard('connected').circuit
    b.block(true)
    c.block(true)
    fill(a, circuitA, mib)
    fill(a, circuit, mib)
    world.settle()
    for (let quarter = 0; quarter < 4; quarter += 1) {
      fill(a, third, mib / 4)
      world.settle()
    }
    expect(d.packets.reduce((sum, packet) => sum + packet.bytes, 0)).toBe(mib)
    expect(credits(a, third)).toEqual([])
    b.block(false)
    expect(credits(a, third).at(-1)?.limit).toBeGreaterThan(mib)
  })
})

describe('a carrier that takes nothing', () => {
  it('is closed after 2 s, and its circuits with it', () => {
    const world = new World()
    const { a, b, circuitA } = pair(world)
    b.block(true)
    a.send(circuitA, 1000)
    world.pass(1990)
    expect(b.hungUpFor).toBeUndefined()
    world.pass(20)
    expect(b.hungUpFor).toBe('write_stall')
    expect(a.heard('circuitClose').reason).toBe('peer_detached')
    expect(world.machine.stats().closes.write_stall).toBe(1)
  })

  it('is kept while it makes progress', () => {
    const world = new World()
    const { a, b, circuitA } = pair(world)
    b.block(true)
    a.send(circuitA, 1000)
    for (let second = 0; second < 10; second += 1) {
      world.pass(1000)
      world.machine.progress(world.nowMs, b.key)
    }
    expect(b.hungUpFor).toBeUndefined()
  })
})
