// Through a SOCKS5 proxy that everybody has: `ssh -D` of OpenSSH, to a server of our own on loopback.
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { Mesh } from './mesh.ts'
import { answers, freePort, lacksForSsh, startSshd } from './sshd.ts'

if (lacksForSsh.length > 0)
  console.log(`left out: tests through ssh -D, for want of ${lacksForSsh}; apt-get install openssh-server openssh-client`)

let mesh: Mesh | undefined
afterEach(async () => {
  await mesh?.close()
}, 30_000)

describe.skipIf(lacksForSsh.length > 0)('ssh -D', { timeout: 90_000 }, () => {
  it('carries a file and an answer to ping', async () => {
    mesh = await Mesh.start(2)
    const proxy = await startSshProxy(mesh)
    const { shop } = mesh
    mkdirSync(shop.path('in'))
    const receive = shop.sennit('receive', '--dir', 'in', '--once', ...mesh.as('bob'), '--proxy', proxy)
    await receive.ready()
    const bytes = randomBytes(3_000_000)
    writeFileSync(shop.path('file.bin'), bytes)
    const sent = await shop.run('send', 'bob', 'file.bin', ...mesh.as('alice'), '--proxy', proxy)
    expect({ code: sent.code, stderr: sent.code === 0 ? '' : sent.stderr }).toEqual({ code: 0, stderr: '' })
    await receive.end()
    expect(readFileSync(shop.path('in/file.bin')).equals(bytes)).toBe(true)
  })
})

/** A client that forwards; gives the proxy's URL. */
async function startSshProxy({ shop }: Mesh): Promise<string> {
  const { login } = await startSshd(shop)
  const port = await freePort()
  shop.program('ssh', ['-N', '-D', `127.0.0.1:${port}`, ...login])
  await answers(port)
  return `socks5h://127.0.0.1:${port}`
}
