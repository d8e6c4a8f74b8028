/** Connections to Consul whose answers have a bound: the package collects all that an agent says, for as long as it says something. */
import http from 'node:http'
import https from 'node:https'

/** The signed list is the largest answer: 8 MiB in base64, and the row around it. */
const answerBytesMax = 16 * 2 ** 20

/** @returns a keep-alive agent whose requests fail once their answer is longer than `bytesMax` */
export function boundedAgent(secure: boolean, bytesMax: number = answerBytesMax): http.Agent {
  const agent = secure ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true })
  // Every request goes through it: https://github.com/TooTallNate/proxy-agents builds on the same method.
  const requests = agent as unknown as { addRequest: (request: http.ClientRequest, ...rest: unknown[]) => void }
  const add = requests.addRequest.bind(agent)
  requests.addRequest = (request, ...rest) => {
    request.once('response', (answer: http.IncomingMessage) => bound(request, answer, bytesMax))
    add(request, ...rest)
  }
  return agent
}

function bound(request: http.ClientRequest, answer: http.IncomingMessage, bytesMax: number): void {
  let bytes = 0
  answer.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length
    if (bytes <= bytesMax || request.destroyed) return
    request.destroy()
    // Once an answer has begun, a request that is destroyed says nothing by itself.
    request.emit('error', new Error(`expected an answer of at most ${bytesMax} bytes; found more`))
  })
}
