import net from 'node:net'
import { once } from 'node:events'
import { it } from 'vitest'
import { expose, forward } from '@sennit/client/forward'
import { startMesh } from './mesh.ts'
it('x', async () => {
  const mesh = await startMesh(2)
  const alice = await mesh.client('alice'); const bob = await mesh.client('bob')
  alice.on(e => console.log('A', JSON.stringify(e))); bob.on(e => console.log('B', JSON.stringify(e)))
  const srv = net.createServer({allowHalfOpen: true}, s => { s.on('error', () => {}); s.pipe(s) })
  await new Promise<void>(r => srv.listen(0, '127.0.0.1', r))
  const t0 = performance.now()
  const log = (who: string) => (t: string, f: unknown) => console.log((performance.now()-t0).toFixed(0), who, t, JSON.stringify(f))
  const target = (srv.address() as net.AddressInfo).port
  const ex = await expose({ client: bob, application: 'a', target: { host: '127.0.0.1', port: target }, log: log('ex') })
  const fw = await forward({ client: alice, listen: { host: '127.0.0.1', port: 0 }, user: 'bob', application: 'a', log: log('fw') })
  const s = net.connect(fw.port, '127.0.0.1'); s.on('error', (e) => console.log('sock', e.message))
  s.on('close', () => console.log('sock close'))
  s.write('x'); await once(s, 'data')
  fw.connection!.on(e => console.log((performance.now()-t0).toFixed(0), 'c', JSON.stringify(e)))
  console.log('closing')
  await ex.close()
  console.log((performance.now()-t0).toFixed(0), 'closed')
  await new Promise(r => setTimeout(r, 4000))
  const again = await expose({ client: bob, application: 'a', target: { host: '127.0.0.1', port: target }, log: log('ex') })
  await new Promise(r => setTimeout(r, 6000))
  srv.close()
  await fw.close(); await again.close(); await mesh.close()
}, 30000)
