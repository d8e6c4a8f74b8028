// `sennit send` and `sennit receive`: whole, checked, never over another file, and a clear word when an end is lost.
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { Client } from '@sennit/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Mesh } from './mesh.ts'
import { type Program, until } from './program.ts'

let mesh: Mesh
let inboxes = 0

beforeAll(async () => {
  mesh = await Mesh.start(2)
}, 60_000)
afterAll(async () => {
  await mesh?.close()
}, 30_000)

interface Receiver {
  readonly program: Program
  readonly inbox: string
  readonly target: string
}

/** A receiver of its own label, with an empty inbox. */
async function receiver(...more: string[]): Promise<Receiver> {
  inboxes += 1
  const label = `inbox${inboxes}`
  mkdirSync(mesh.shop.path(label))
  const program = mesh.shop.sennit('receive', '--dir', label, ...mesh.as('bob', '--label', label), ...more)
  await program.ready()
  return { program, inbox: mesh.shop.path(label), target: `bob/${label}/files` }
}

function file(name: string, bytes: Buffer): string {
  writeFileSync(mesh.shop.path(name), bytes)
  return name
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

describe('send and receive', { timeout: 60_000 }, () => {
  it('takes files of any size, the empty one too, tells both ends the hash, and ends after the first sender with --once', async () => {
    const { program, inbox, target } = await receiver('--once')
    const sizes = [0, 1, 65_536, 262_144, 262_145, 48 * 1024 * 1024 + 7]
    const contents = sizes.map((size) => randomBytes(size))
    const names = contents.map((bytes, index) => file(`f${index}.bin`, bytes))
    const sent = await mesh.shop.run('send', target, ...names, ...mesh.as('alice'))
    expect(sent.code).toBe(0)
    expect(sent.json).toEqual(
      contents.map((bytes, index) => ({ resumedFrom: 0, sent: names[index], bytes: bytes.length, sha256: sha256(bytes) })),
    )
    expect(await program.end()).toEqual({ code: 0, signal: null })
    expect(program.json.slice(1).map((line) => line.sha256)).toEqual(contents.map(sha256))
    expect(readdirSync(inbox).sort()).toEqual([...names].sort())
    for (const [index, name] of names.entries()) expect(sha256(readFileSync(`${inbox}/${name}`))).toBe(sha256(contents[index]!))
  })

  it('never replaces a file', async () => {
    const { program, inbox, target } = await receiver()
    writeFileSync(`${inbox}/note.txt`, 'mine')
    const note = file('note.txt', Buffer.from('theirs'))
    const sent = await mesh.shop.run('send', target, note, note, ...mesh.as('alice'))
    expect(sent.code).toBe(0)
    expect(readdirSync(inbox).sort()).toEqual(['note (1).txt', 'note (2).txt', 'note.txt'])
    expect(readFileSync(`${inbox}/note.txt`, 'utf8')).toBe('mine')
    expect(readFileSync(`${inbox}/note (2).txt`, 'utf8')).toBe('theirs')
    expect(await program.stop()).toEqual({ code: 0, signal: null })
  })

  it.each([['../../escape.txt', 'escape.txt', 'the folder is ours to choose']])(
    'stores a file that claims the name %j as %j: %s',
    async (claimed, stored) => {
      const { program, inbox, target } = await receiver()
      const answer = await sendRaw(target, { name: claimed, size: 2 }, [
        Buffer.alloc(8),
        Buffer.from('ok'),
        Buffer.from(sha256(Buffer.from('ok')), 'hex'),
      ])
      expect(answer).toMatchObject({ ok: true })
      expect(readdirSync(inbox)).toEqual([stored])
      program.signal('SIGKILL')
    },
  )

  it.each([
    ['a header that is not one', { size: 2 }, 'ok', /expected a stream that opens with/],
    ['a size below 0', { name: 'x', size: -1 }, '', /expected a stream that opens with/],
    ['a wrong hash', { name: 'x', size: 2 }, `ok${'h'.repeat(32)}`, /do not have the sender's hash/],
    ['too few bytes', { name: 'x', size: 100 }, 'ok', /expected 100 bytes and a hash; found 2/],
    ['too many bytes', { name: 'x', size: 2 }, 'x'.repeat(200), /found more/],
  ])('refuses %s with its reason, and keeps nothing of it', async (_, header, text, reason) => {
    const { program, inbox, target } = await receiver()
    const answer = (await sendRaw(target, header, [Buffer.alloc(8), Buffer.from(text)])) as { ok: boolean; reason: string }
    expect(answer.ok).toBe(false)
    expect(answer.reason).toMatch(reason)
    expect(readdirSync(inbox)).toEqual([])
    program.signal('SIGKILL')
  })

  it('gives the sender 3 and the reason when the receiver cannot store, or is told to stop, and keeps the part for the next try', async () => {
    const { program, inbox, target } = await receiver()
    const big = file('sparse.bin', Buffer.alloc(0))
    truncateSync(mesh.shop.path(big), 1024 ** 3)
    const sending = mesh.shop.sennit('send', target, big, ...mesh.as('alice'))
    await mesh.statusUntil((clients) => (clients.find((client) => client.pid === program.pid)?.connections.length ?? 0) > 0)
    await until(() => readdirSync(inbox).length > 0, 'a part in the inbox')
    expect(await program.stop()).toEqual({ code: 0, signal: null })
    const { code } = await sending.end()
    expect([3, 4]).toContain(code)
    expect(sending.stderr).toMatch(/sparse\.bin/)
    expect(readdirSync(inbox).filter((name) => !name.startsWith('.sennit-'))).toEqual([])
  })

  it('gives 130 when interrupted, and the receiver keeps the part and goes on', async () => {
    const { program, inbox, target } = await receiver()
    const big = file('sparse2.bin', Buffer.alloc(0))
    truncateSync(mesh.shop.path(big), 1024 ** 3)
    const sending = mesh.shop.sennit('send', target, big, ...mesh.as('alice'))
    await until(() => readdirSync(inbox).length > 0, 'a part in the inbox')
    expect(await sending.stop()).toEqual({ code: 130, signal: null })
    await program.says(/was not received/)
    expect(readdirSync(inbox).filter((name) => !name.startsWith('.sennit-'))).toEqual([])
    const small = file('after.txt', Buffer.from('after'))
    expect((await mesh.shop.run('send', target, small, ...mesh.as('alice'))).code).toBe(0)
    expect(await program.stop('SIGTERM')).toEqual({ code: 0, signal: null })
  })

  it('says that it waits when its receiver was killed', async () => {
    const { program, inbox, target } = await receiver()
    const big = file('sparse3.bin', Buffer.alloc(0))
    truncateSync(mesh.shop.path(big), 1024 ** 3)
    const sending = mesh.shop.sennit('send', target, big, ...mesh.as('alice'))
    // Bytes must flow: a sender that only waits for an answer has nothing that could wait for a way.
    await until(() => readdirSync(inbox).some((name) => statSync(`${inbox}/${name}`).size > 0), 'bytes of a part in the inbox')
    program.signal('SIGKILL')
    await program.end()
    await sending.says(/no way to bob\S* at the moment/)
    expect(await sending.stop()).toEqual({ code: 130, signal: null })
    expect(existsSync(`${inbox}/sparse3.bin`)).toBe(false)
  })

  it('goes on where it was after the sender and then the receiver were killed and started again, with the same digest', async () => {
    const size = 400 * 1024 * 1024
    const bytes = Buffer.alloc(size)
    for (let at = 0; at < size; at += 4096) bytes.writeUInt32LE(at, at)
    const big = file('resumed.bin', bytes)
    let { program, inbox, target } = await receiver()
    const partBytes = (): number => {
      const part = readdirSync(inbox).find((name) => name.endsWith('.part'))
      return part === undefined ? 0 : statSync(`${inbox}/${part}`).size
    }
    const some = 48 * 1024 * 1024

    const first = mesh.shop.sennit('send', target, big, ...mesh.as('alice'))
    await until(() => partBytes() > some, 'a part of the file in the inbox')
    first.signal('SIGKILL')
    await first.end()
    const left = partBytes()
    expect(left).toBeLessThan(size)

    const second = mesh.shop.sennit('send', target, big, ...mesh.as('alice'))
    await until(() => partBytes() > left + some, 'the part to grow')
    program.signal('SIGKILL')
    await program.end()
    program = mesh.shop.sennit('receive', '--dir', inbox, ...mesh.as('bob', '--label', target.split('/')[1] ?? ''))
    await program.ready()
    expect({ ...(await second.end(60_000)), stderr: second.stderr }).toMatchObject({ code: 0, signal: null })
    const [told] = second.json
    expect(told).toMatchObject({ bytes: size, sha256: sha256(bytes) })
    expect(told?.resumedFrom).toBeGreaterThan(left)
    expect(second.stderr).toMatch(/was started anew/)
    expect(sha256(readFileSync(`${inbox}/resumed.bin`))).toBe(sha256(bytes))
    expect(readdirSync(inbox)).toEqual(['resumed.bin'])
    expect(await program.stop()).toEqual({ code: 0, signal: null })
  }, 120_000)

  it('begins anew when the sender has another file of the same name, size and time', async () => {
    const { program, inbox, target } = await receiver()
    const header = { name: 'other.bin', size: 4, changedMs: 1 }
    expect(await sendRaw(target, header, [Buffer.alloc(8), Buffer.from('ab')], 'reset')).toBeUndefined()
    await until(() => readdirSync(inbox).some((name) => name.endsWith('.part')), 'a part')
    await program.says(/was not received/)
    const whole = Buffer.from('wxyz')
    const answer = await sendRaw(target, header, [Buffer.alloc(8), whole, Buffer.from(sha256(whole), 'hex')])
    expect(answer).toMatchObject({ ok: true })
    expect(readFileSync(`${inbox}/other.bin`, 'utf8')).toBe('wxyz')
    program.signal('SIGKILL')
  })

  it('gives 2 for a file or a folder that is not there', async () => {
    expect(await mesh.shop.run('send', 'bob', 'nothing.bin', ...mesh.as('alice'))).toMatchObject({ code: 2, stdout: '' })
    const noFolder = await mesh.shop.run('receive', '--dir', 'nowhere', ...mesh.as('bob'))
    expect(noFolder.code).toBe(2)
    expect(noFolder.stderr).toMatch(/--dir: expected a directory; found none at nowhere/)
  })
})

/** A sender that need not keep our manners: one stream with this header and these bytes. Resolves with the receiver's last answer. */
async function sendRaw(target: string, header: object, chunks: readonly Buffer[], how: 'end' | 'reset' = 'end'): Promise<unknown> {
  const [user = '', label = '', application = ''] = target.split('/')
  const client = await Client.open({
    credential: mesh.shop.path('mesh/users/alice.cred'),
    relays: mesh.shop.path('mesh/relays.list'),
    label: `raw${randomBytes(4).toString('hex')}`,
  })
  try {
    const connection = await client.connect({ user: `${user}/${label}`, application })
    const stream = await connection.openStream({ header: Buffer.from(JSON.stringify(header)) })
    const answer = new Promise<unknown>((done, fail) => {
      let text = ''
      stream.onData((bytes) => {
        text += Buffer.from(bytes).toString()
      })
      stream.onEnd(() => done(JSON.parse(text.trim().split('\n').at(-1) ?? '')))
      stream.onReset((code) => fail(new Error(`reset ${code}`)))
    })
    answer.catch(() => {})
    for (const chunk of chunks) if (chunk.length > 0) stream.write(chunk)
    if (how === 'reset') {
      // Once the receiver has said what it has, it takes the bytes too.
      await connection.ping()
      stream.reset()
      return undefined
    }
    stream.end()
    return await answer
  } finally {
    await client.close()
  }
}
