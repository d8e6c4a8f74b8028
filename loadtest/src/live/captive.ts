// What a hotel's network does before somebody has paid: it answers every request itself, with a page of its own and status 200.
import type { Socket } from 'node:net'

const page = '<!doctype html><title>Welcome</title><p>Please accept our terms to use this network.'
const answer = `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${page.length}\r\nConnection: close\r\n\r\n${page}`
/** Whoever says nothing is not waited for. */
const silenceMs = 10_000

/** Answers the first bytes of a connection, whatever they are, and ends it. */
export function answerCaptive(socket: Socket): void {
  socket.setTimeout(silenceMs, () => socket.destroy())
  socket.once('data', () => {
    socket.end(answer)
    socket.resume()
  })
  socket.once('end', () => socket.end())
}
