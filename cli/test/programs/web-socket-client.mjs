// The WebSocket client of Node itself: reads lines "KIND BYTES SEED", sends such a message, prints the answer's SHA-256 (text: the answer).
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'

const socket = new WebSocket(process.argv[2])
socket.binaryType = 'arraybuffer'
const answers = []
socket.addEventListener('message', ({ data }) => answers.shift()?.(data))
socket.addEventListener('close', ({ code }) => process.exit(code === 1000 ? 0 : 1))
socket.addEventListener('error', () => process.exit(1))
await new Promise((done) => socket.addEventListener('open', done))
for await (const line of createInterface({ input: process.stdin })) {
  const [kind, bytes, seed] = line.split(' ')
  const body = seed.repeat(Math.ceil(Number(bytes) / seed.length)).slice(0, Number(bytes))
  const answer = new Promise((done) => answers.push(done))
  socket.send(kind === 'text' ? body : Buffer.from(body))
  const data = await answer
  console.log(kind === 'text' ? data : createHash('sha256').update(Buffer.from(data)).digest('hex'))
}
socket.close(1000)
