/** The credential of a client that runs, with a real relay: its file is renewed under it, and somebody else's is put in its place. */
import { copyFileSync } from 'node:fs'
import type { ClientEvent } from '@sennit/client'
import { addUser, readCredential, renewUser } from '@sennit/protocol/node'
import { afterEach, expect, it, vi } from 'vitest'
import { startMesh, type TestMesh } from './mesh.ts'

let mesh: TestMesh | undefined

afterEach(async () => {
  await mesh?.close()
  mesh = undefined
})

it('a file that is renewed is taken while the client runs, one of another user is not, and a connection outlives the old certificate', async () => {
  mesh = await startMesh(1)
  const endsMs = Date.now() + 4_000
  const file = await addUser(mesh.dir, 'carol', { notAfterMs: endsMs })
  const carol = await mesh.client('carol', { credential: file })
  const events: ClientEvent[] = []
  carol.on((event) => events.push(event))
  const bob = await mesh.client('bob')
  const listener = await bob.listen({ application: 'chat' })
  const connection = await carol.connect({ user: 'bob', application: 'chat' })
  const accepted = (await listener[Symbol.asyncIterator]().next()).value!

  const told = async (type: ClientEvent['type']): Promise<ClientEvent> =>
    await vi.waitFor(() => {
      const event = events.find((one) => one.type === type)
      if (event === undefined) throw new Error(`no ${type} yet`)
      return event
    }, 20_000)
  await renewUser(mesh.dir, 'carol')
  expect(await told('credential_renewed')).toMatchObject({ expiresMs: expect.toSatisfy((ms: number) => ms > endsMs + 3_600_000) })
  const good = readCredential(file)
  copyFileSync(file.replace('carol', 'bob'), file)
  expect(await told('credential_trouble')).toMatchObject({ file, code: 'name_mismatch', message: expect.stringMatching(/'carol'.*'bob'/) })
  expect(() => carol.renew(file)).toThrow(expect.objectContaining({ code: 'name_mismatch' }))

  // The old certificate is over, and the relay is a new one: who comes with the old one is turned away.
  await mesh.kill('r1')
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(endsMs), 10_000)
  events.length = 0
  await mesh.start('r1')
  await told('attached')
  await connection.send(new TextEncoder().encode('still here'))
  const message = (await accepted[Symbol.asyncIterator]().next()).value!
  expect(new TextDecoder().decode(message)).toBe('still here')
  // As a program does that keeps its credentials elsewhere.
  carol.renew(good)
  expect(events.at(-1)).toMatchObject({ type: 'credential_renewed' })
}, 60_000)
