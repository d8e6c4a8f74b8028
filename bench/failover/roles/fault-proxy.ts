// A TCP proxy before a relay. `cut`: from now on nothing passes and nobody is told, as when packets vanish. `heal`: what waited goes on.
// `reset`: every connection ends with a reset at both ends.
import { connect, createServer, type Socket } from 'node:net'
import { say, serveAsks } from './lines.ts'

export function runFaultProxy(listenPort: number, host: string, port: number): void {
  const sockets = new Set<Socket>()
  let cut = false
  const hold = (socket: Socket): void => void (cut ? socket.pause() : socket.resume())

  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (near) => {
    const far = connect({ host, port, allowHalfOpen: true, noDelay: true })
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (bytes: Buffer) => {
        if (!to.write(bytes)) from.pause()
      })
      to.on('drain', () => hold(from))
      from.on('end', () => to.end())
      from.on('error', () => {})
      from.on('close', (failed) => {
        sockets.delete(from)
        if (failed && !to.destroyed) to.resetAndDestroy()
      })
    }
    hold(near)
    hold(far)
  })
  server.listen(listenPort, '127.0.0.1', () => say({ ready: true }))

  serveAsks(({ what }) => {
    if (what === 'reset') for (const socket of sockets) socket.resetAndDestroy()
    else {
      cut = what === 'cut'
      for (const socket of sockets) hold(socket)
    }
    return {}
  })
}
