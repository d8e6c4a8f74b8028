import { describe, expect, it } from 'vitest'
import { bytes, pair, type RawClient, World } from './world.ts'

const answerTo = (listener: RawClient): number => {
  const { offerId } = listener.heard('offer')
  listener.say({ type: 'answer', offerId, handshake: bytes(64, 9) })
  return offerId
}

describe('connecting', () => {
  it('passes a request to a listener, its answer back, and packets both ways', () => {
    const world = new World()
    const { a, b, circuitA, circuitB } = pair(world)
    a.send(circuitA, 1000, 0, 42)
    b.send(circuitB, 2000, 2, 43)
    world.settle()
    expect(b.packets).toMatchObject([{ circuit: circuitB, bytes: 1000, header: { kind: 0, counter: 42 } }])
    expect(a.packets).toMatchObject([{ circuit: circuitA, bytes: 2000, header: { kind: 2, counter: 43 } }])
    expect(world.machine.stats()).toMatchObject({ circuits: 1, forwardedBytes: 3000, forwardedPackets: 2, queuedBytes: 0 })
  })

  it('passes on every field of a request as it came', () => {
    const world = new World()
    const a = world.attach('alice', { label: 'laptop' })
    const b = world.attach('bob').listen('chat')
    a.connect('bob', 'chat', {
      connectionId: bytes(16, 3),
      attempt: 77,
      instance: bytes(16, 4),
      previous: bytes(16, 5),
      handshake: bytes(200, 6),
    })
    expect(b.heard('offer')).toMatchObject({
      listenId: 1,
      user: 'alice',
      label: 'laptop',
      application: 'chat',
      connectionId: bytes(16, 3),
      attempt: 77,
      instance: bytes(16, 4),
      previous: bytes(16, 5),
      handshake: bytes(200, 6),
    })
  })

  const refused: { why: string; code: string; ask(world: World): RawClient }[] = [
    { why: 'a client asks for itself', code: 'self', ask: (world) => world.attach('alice').connect('alice', 'chat') },
    {
      why: 'a labelled client asks for itself',
      code: 'self',
      ask: (world) => world.attach('alice', { label: 'x' }).connect('alice', 'chat', { label: 'x' }),
    },
    { why: 'nobody of that name is registered', code: 'not_registered', ask: (world) => world.attach('alice').connect('mallory', 'chat') },
    {
      why: 'the user was revoked',
      code: 'not_registered',
      ask: (world) => {
        world.changeUsers((entries) => entries.map((entry) => (entry.user === 'bob' ? { ...entry, revoked: true } : entry)))
        return world.attach('alice').connect('bob', 'chat')
      },
    },
    { why: 'a request is as passive as a listener', code: 'both_passive', ask: (world) => world.attach('alice').connect('*', 'chat') },
    {
      why: 'the certificate does not allow it',
      code: 'not_allowed',
      ask: (world) => world.attach('alice', { applications: ['mail'] }).connect('bob', 'chat'),
    },
    {
      why: 'the listener waits for somebody else',
      code: 'not_allowed',
      ask: (world) => {
        world.attach('bob').listen('chat', 'carol')
        return world.attach('alice').connect('bob', 'chat')
      },
    },
    { why: 'the other end is not here', code: 'wait', ask: (world) => world.attach('alice').connect('bob', 'chat') },
    {
      why: 'another label of it is here',
      code: 'wait',
      ask: (world) => {
        world.attach('bob', { label: 'x' }).listen('chat')
        return world.attach('alice').connect('bob', 'chat')
      },
    },
    {
      why: 'the handshake is too large',
      code: 'limit',
      ask: (world) => world.attach('alice').connect('bob', 'chat', { handshake: bytes(8193, 1) }),
    },
    {
      why: 'the listener says that this connection exists',
      code: 'exists',
      ask: (world) => {
        const b = world.attach('bob').listen('chat')
        const a = world.attach('alice').connect('bob', 'chat')
        b.say({ type: 'reject', offerId: b.heard('offer').offerId, code: 'exists' })
        return a
      },
    },
    {
      why: 'the listener rejects it',
      code: 'rejected',
      ask: (world) => {
        const b = world.attach('bob').listen('chat')
        const a = world.attach('alice').connect('bob', 'chat')
        b.say({ type: 'reject', offerId: b.heard('offer').offerId, code: 'busy' })
        return a
      },
    },
  ]

  it.each(refused)('answers $code when $why', ({ ask, code }) => {
    const world = new World()
    const asker = ask(world)
    expect(asker.heard('result')).toMatchObject({ requestId: 1, code })
    expect(world.machine.stats().answers[code]).toBe(1)
    expect(world.machine.stats().heldRequests).toBe(code === 'wait' ? 1 : 0)
  })

  it('holds a request and offers it when a listener arrives', () => {
    const world = new World()
    const a = world.attach('alice').connect('bob', 'chat')
    expect(a.heard('result').code).toBe('wait')
    const b = world.attach('bob').listen('chat')
    answerTo(b)
    expect(a.heard('connected').handshake).toEqual(bytes(64, 9))
    expect(world.machine.stats()).toMatchObject({ heldRequests: 0, circuits: 1 })
  })

  it('forgets a held request that was cancelled', () => {
    const world = new World()
    const a = world.attach('alice').connect('bob', 'chat')
    a.say({ type: 'cancel', requestId: 1 })
    expect(world.machine.stats().heldRequests).toBe(0)
    expect(world.attach('bob').listen('chat').maybe('offer')).toBeUndefined()
  })

  it('forgets held requests of a client that is gone', () => {
    const world = new World()
    world.attach('alice').connect('bob', 'chat').drop()
    expect(world.machine.stats().heldRequests).toBe(0)
    expect(world.attach('bob').listen('chat').maybe('offer')).toBeUndefined()
  })

  it('holds a request again when its listener goes before it answered', () => {
    const world = new World()
    const b = world.attach('bob').listen('chat')
    const a = world.attach('alice').connect('bob', 'chat')
    b.drop()
    expect(a.heard('result').code).toBe('wait')
    answerTo(world.attach('bob').listen('chat'))
    expect(a.heard('connected')).toBeDefined()
  })

  it('ignores an answer to a request that was cancelled', () => {
    const world = new World()
    const b = world.attach('bob').listen('chat')
    const a = world.attach('alice').connect('bob', 'chat')
    a.say({ type: 'cancel', requestId: 1 })
    answerTo(b)
    expect(b.maybe('opened')).toBeUndefined()
    expect(world.machine.stats().circuits).toBe(0)
  })

  it('prefers the listener for exactly this caller', () => {
    const world = new World()
    const b = world.attach('bob').listen('chat', '*', 1).listen('chat', 'alice', 2)
    world.attach('alice').connect('bob', 'chat')
    expect(b.heard('offer').listenId).toBe(2)
    world.attach('carol').connect('bob', 'chat')
    expect(b.heard('offer').listenId).toBe(1)
  })

  it('ends held requests for a user who leaves the list', () => {
    const world = new World()
    const a = world.attach('alice').connect('bob', 'chat')
    a.heard('result')
    world.changeUsers((entries) => entries.filter((entry) => entry.user !== 'bob'))
    expect(a.heard('result').code).toBe('not_registered')
    expect(world.machine.stats().heldRequests).toBe(0)
  })

  it('bounds held requests, per attachment and in all', () => {
    const world = new World({ limits: { requestsPerAttachment: 3, heldRequests: 4 } })
    const a = world.attach('alice')
    const c = world.attach('carol')
    for (let requestId = 1; requestId <= 4; requestId += 1) a.connect('bob', `app${requestId}`, { requestId })
    expect([1, 2, 3, 4].map(() => a.heard('result').code)).toEqual(['wait', 'wait', 'wait', 'limit'])
    for (let requestId = 1; requestId <= 2; requestId += 1) c.connect('bob', `app${requestId}`, { requestId })
    expect([1, 2].map(() => c.heard('result').code)).toEqual(['wait', 'limit'])
  })

  it('bounds offers at one listener and offers the rest as it answers', () => {
    const world = new World({ limits: { offersPerAttachment: 2 } })
    const b = world.attach('bob').listen('chat')
    const callers = [1, 2, 3, 4].map((requestId) => world.attach('alice', { label: `l${requestId}` }).connect('bob', 'chat'))
    expect(callers[3]!.heard('result').code).toBe('wait')
    for (let turn = 0; turn < 4; turn += 1) answerTo(b)
    expect(callers.every((caller) => caller.maybe('connected') !== undefined)).toBe(true)
  })

  it('bounds look-ups per second of one user', () => {
    const world = new World({ limits: { lookupsPerSecond: 1, lookupsBurst: 2 } })
    const a = world.attach('alice')
    for (let requestId = 1; requestId <= 3; requestId += 1) a.connect('bob', 'chat', { requestId })
    expect([1, 2, 3].map(() => a.heard('result').code)).toEqual(['wait', 'wait', 'limit'])
    world.pass(1000)
    a.connect('bob', 'chat', { requestId: 4 })
    expect(a.heard('result').code).toBe('wait')
  })

  it('offers the elder request to the younger caller when both call each other and nobody listens', () => {
    const world = new World()
    const b = world.attach('bob').connect('alice', 'chat', { connectionId: bytes(16, 22) })
    const a = world.attach('alice').connect('bob', 'chat', { connectionId: bytes(16, 11) })
    expect(a.maybe('offer')).toBeUndefined()
    expect(b.heard('offer')).toMatchObject({ listenId: 0, user: 'alice', connectionId: bytes(16, 11) })
    // Who cannot take it leaves the elder waiting, not refused.
    b.say({ type: 'reject', offerId: 1, code: 'not_calling' })
    expect(a.controls.filter((message) => message.type === 'result').map((message) => (message as { code: string }).code)).toEqual([
      'wait',
      'wait',
    ])
    expect(world.machine.stats().heldRequests).toBe(2)
  })

  it('offers the elder request to the younger also when the elder listens, or neither would ever give way', () => {
    const world = new World()
    const elder = world.attach('alice').listen('chat')
    const younger = world.attach('bob')
    elder.connect('bob', 'chat', { requestId: 4, handshake: bytes(64, 1) })
    younger.connect('alice', 'chat', { requestId: 5, handshake: bytes(64, 2) })
    expect(elder.heard('offer')).toMatchObject({ listenId: 1, user: 'bob' })
    expect(younger.heard('offer')).toMatchObject({ listenId: 0, user: 'alice', handshake: bytes(64, 1) })
  })

  it('offers it again to a younger that could not take it once and asks anew', () => {
    const world = new World()
    const elder = world.attach('alice')
    const younger = world.attach('bob')
    elder.connect('bob', 'chat', { requestId: 4, handshake: bytes(64, 1) })
    younger.connect('alice', 'chat', { requestId: 5, handshake: bytes(64, 2) })
    const first = younger.heard('offer').offerId
    younger.say({ type: 'reject', offerId: first, code: 'not_calling' })
    younger.connect('alice', 'chat', { requestId: 6, handshake: bytes(64, 2) })
    expect(younger.heard('offer')).toMatchObject({ listenId: 0, user: 'alice', handshake: bytes(64, 1) })
  })
})

describe('listening', () => {
  it('refuses an application outside the certificate', () => {
    const world = new World()
    const refusal = world
      .attach('bob', { applications: ['mail'] })
      .listen('chat')
      .heard('listenRefused')
    expect(refusal).toMatchObject({ listenId: 1, code: 'not_allowed' })
    expect(world.machine.stats().refusals.listen_not_allowed).toBe(1)
  })

  it('refuses two that wait for exactly each other as both passive', () => {
    const world = new World()
    world.attach('alice').listen('chat', 'bob').heard('listening')
    expect(world.attach('bob').listen('chat', 'alice').heard('listenRefused').code).toBe('both_passive')
  })

  it('lets them when one of them also asks', () => {
    const world = new World()
    const a = world.attach('alice').listen('chat', 'bob').connect('bob', 'chat')
    const b = world.attach('bob').listen('chat', 'alice')
    expect(b.heard('listening')).toBeDefined()
    expect(b.heard('offer').user).toBe('alice')
    expect(a.maybe('listenRefused')).toBeUndefined()
  })

  it('keeps the holder of a name that answers a probe', () => {
    const world = new World()
    const holder = world.attach('bob', { instance: 1 }).listen('chat')
    holder.heard('listening')
    const other = world.attach('bob', { instance: 2 }).listen('chat')
    expect(other.heard('listenRefused').code).toBe('name_taken')
    world.attach('alice').connect('bob', 'chat')
    expect(holder.heard('offer')).toBeDefined()
  })

  it('gives the name of a silent holder away after the probe', () => {
    const world = new World()
    const holder = world.attach('bob', { instance: 1 }).listen('chat')
    holder.freeze()
    const other = world.attach('bob', { instance: 2 }).listen('chat')
    expect(other.maybe('listenRefused')).toBeUndefined()
    world.pass(1900)
    expect(other.maybe('listening')).toBeUndefined()
    world.pass(200)
    expect(other.heard('listening')).toBeDefined()
    world.attach('alice').connect('bob', 'chat')
    expect(other.heard('offer')).toBeDefined()
  })

  it('gives the name on at once when its holder goes', () => {
    const world = new World()
    const holder = world.attach('bob', { instance: 1 }).listen('chat')
    holder.freeze()
    const other = world.attach('bob', { instance: 2 }).listen('chat')
    holder.drop()
    expect(other.heard('listening')).toBeDefined()
  })

  it('replaces the listener of the same client on a new attachment', () => {
    const world = new World()
    const before = world.attach('bob', { instance: 5 }).listen('chat')
    const after = world.attach('bob', { instance: 5 }).listen('chat')
    expect(after.heard('listening')).toBeDefined()
    world.attach('alice').connect('bob', 'chat')
    expect(after.heard('offer')).toBeDefined()
    expect(before.maybe('offer')).toBeUndefined()
    expect(world.machine.stats().listens).toBe(1)
    // The end of the old attachment must not take the new listener away.
    before.drop()
    world.attach('carol').connect('bob', 'chat')
    expect(after.heard('offer')).toBeDefined()
  })

  it('frees a name on unlisten', () => {
    const world = new World()
    const b = world.attach('bob', { instance: 1 }).listen('chat')
    b.say({ type: 'unlisten', listenId: 1 })
    expect(world.attach('bob', { instance: 2 }).listen('chat').heard('listening')).toBeDefined()
  })

  it('bounds the names of one user', () => {
    const world = new World({ limits: { listensPerUser: 2 } })
    const b = world.attach('bob')
    for (const listenId of [1, 2, 3]) b.listen(`app${listenId}`, '*', listenId)
    expect(b.heard('listenRefused')).toMatchObject({ listenId: 3, code: 'limit' })
  })
})
