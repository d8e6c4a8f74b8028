// Many clients that attach to the relay and do nothing more.
import { Client } from '@sennit/client'

/** Dials at a time: a relay admits so many strangers per second. */
const dialsAtOnce = 10

export async function runIdleClients(
  relayList: string,
  carrier: string,
  count: number,
  perUser: number,
  credentials: readonly string[],
): Promise<void> {
  const clients: Client[] = []
  let next = 0
  const dial = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const credential = credentials[Math.floor(index / perUser)] ?? ''
      clients.push(
        await Client.open({ credential, relays: relayList, carriers: [carrier], label: `c${index}`, attach: 'all', openMs: 60_000 }),
      )
    }
  }
  await Promise.all(Array.from({ length: dialsAtOnce }, dial))
  process.stdout.write(`${JSON.stringify({ ready: true, clients: clients.length })}\n`)
}
