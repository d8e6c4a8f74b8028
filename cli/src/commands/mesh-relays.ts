// `sennit mesh sign`, `add-relay`, `remove-relay`: who is in the list, and the signer that turns what Consul sees into a signed list.
import type { SeenRelay, SeenRelays } from '@sennit/protocol'
import type { ConsulAgent, SignedRelays } from '@sennit/protocol/node'
import { type Command, Option } from 'commander'
import { parseDuration } from '../durations.ts'
import { codedError, usageError } from '../exit-codes.ts'
import { createOutput, jsonOption, type Output } from '../output.ts'
import { aborted, untilStopped } from '../signals.ts'

interface SignOptions {
  readonly mesh?: string
  readonly directory?: string
  readonly watch?: boolean
  readonly life: string
  readonly json?: boolean
}

/** How often a watching signer looks at the operator's relays and the end of the list, and tries again what it could not do. */
const lookEveryMs = 1_000

const meshOption = (): Option => new Option('--mesh <dir>', 'mesh directory, with issuers/').env('SENNIT_MESH')

export function addMeshRelayCommands(mesh: Command): void {
  mesh
    .command('sign')
    .addOption(meshOption())
    .addOption(new Option('--directory <url>', 'consul://host:port/service: sign what is registered there').env('SENNIT_DIRECTORY'))
    .option('--watch', 'stay, and sign at each change; the list is put into the directory too')
    .option('--life <duration>', 'how long a list holds; it is renewed when half of it is over', '30d')
    .addOption(jsonOption())
    .description('sign the relay list anew: every relay of the mesh, or those that register in Consul')
    .addHelpText(
      'after',
      '\nOnly relays of the mesh get in, with their own keys; a directory that is empty, away or lying changes nothing of what runs.\n\nExamples:\n  sennit mesh sign --mesh ./mesh\n  sennit mesh sign --mesh ./mesh --directory consul://127.0.0.1:8500 --watch',
    )
    .action(async (options: SignOptions) => {
      await sign(options)
    })
  mesh
    .command('add-relay')
    .argument('<id>', 'name of the relay')
    .addOption(meshOption())
    .requiredOption('--url <urls>', 'where clients reach it, comma separated: http://relay.example:80')
    .requiredOption('--listen <addresses>', 'where it listens, comma separated: 0.0.0.0:80')
    .option('--admin <address>', 'health and metrics')
    .option('--region <name>', 'where it is')
    .option('--zone <name>', 'zone of a workbook or an availability zone')
    .option('--failure-domain <name>', 'what fails together with it: clients spread over these (default: itself)')
    .option('--price <n>', 'of a gigabyte')
    .option('--rating <n>', 'security rating, 0 to 100')
    .addOption(new Option('--directory <url>', 'where it registers: consul://host:port/service').env('SENNIT_DIRECTORY'))
    .addOption(jsonOption())
    .description('make key, certificate, config and list entry of one more relay')
    .addHelpText(
      'after',
      '\nExamples:\n  sennit mesh add-relay r4 --mesh ./mesh --url http://127.0.0.1:8104 --listen 127.0.0.1:8104 --region eu',
    )
    .action(async (id: string, options: AddOptions) => {
      await addOne(id, options)
    })
  mesh
    .command('renew-relay')
    .argument('<id>', 'name of the relay')
    .addOption(meshOption())
    .addOption(jsonOption())
    .description('give a relay a new key and certificate, in its files and in the list; it uses them from its next start')
    .addHelpText(
      'after',
      '\nCopy the new NAME.key and NAME.cert to the relay and start it again at once: until then the list names a key that it does not have.\n\nExamples:\n  sennit mesh renew-relay r1 --mesh ./mesh',
    )
    .action(async (id: string, options: { mesh?: string; json?: boolean }) => {
      const { renewRelayKey } = await import('@sennit/protocol/node')
      await renewRelayKey(meshOf(options), id)
      createOutput(options.json === true).result(
        { renewed: id },
        `relay ${id} has a new key and certificate: copy relays/${id}.key and relays/${id}.cert to it and start it again, then relays.list to all`,
      )
    })
  mesh
    .command('remove-relay')
    .argument('<id>', 'name of the relay')
    .addOption(meshOption())
    .addOption(jsonOption())
    .description('take a relay out of the list; clients leave it without a pause')
    .addHelpText('after', '\nExamples:\n  sennit mesh remove-relay r4 --mesh ./mesh')
    .action(async (id: string, options: { mesh?: string; json?: boolean }) => {
      const { removeRelay } = await import('@sennit/protocol/node')
      await removeRelay(meshOf(options), id)
      createOutput(options.json === true).result({ removed: id }, `relay ${id} is out of the list`)
    })
}

interface AddOptions {
  readonly mesh?: string
  readonly url: string
  readonly listen: string
  readonly admin?: string
  readonly region?: string
  readonly zone?: string
  readonly failureDomain?: string
  readonly price?: string
  readonly rating?: string
  readonly directory?: string
  readonly json?: boolean
}

async function addOne(relayId: string, options: AddOptions): Promise<void> {
  const { addRelay } = await import('@sennit/protocol/node')
  const { region, zone, failureDomain, price, rating, directory, admin } = options
  const traits = {
    ...(region === undefined ? {} : { region }),
    ...(price === undefined ? {} : { price: numberOf('--price', price, 1e9) }),
    ...(rating === undefined ? {} : { securityRating: numberOf('--rating', rating, 100) }),
  }
  const { urls } = await addRelay(meshOf(options), {
    relayId,
    url: options.url.split(','),
    listen: options.listen.split(','),
    ...(admin === undefined ? {} : { admin }),
    ...(zone === undefined ? {} : { zone }),
    ...(failureDomain === undefined ? {} : { failureDomain }),
    ...(Object.keys(traits).length === 0 ? {} : { traits }),
    ...(directory === undefined ? {} : { directory }),
  })
  createOutput(options.json === true).result(
    { id: relayId, urls },
    `relay ${relayId} is set up${directory === undefined ? ' and in the list' : ', and gets into the list when it registers'}; start it with relays/${relayId}.toml`,
  )
}

async function sign(options: SignOptions): Promise<void> {
  const mesh = meshOf(options)
  const out = createOutput(options.json === true)
  const lifeMs = parseDuration(options.life, '--life')
  if (options.watch === true && options.directory === undefined)
    throw usageError('--watch: expected --directory consul://… as well; found none')
  const { ConsulAgent, parseConsulUrl, readMeshTrust, signRelays } = await import('@sennit/protocol/node')
  if (options.directory === undefined) {
    tell(out, await signRelays(mesh, { lifeMs }))
    return
  }
  const { meshId } = readMeshTrust(`${mesh}/mesh.json`)
  const agent = await ConsulAgent.load(parseConsulUrl(options.directory), meshId)
  try {
    if (options.watch !== true) {
      const seen = await agent.relays()
      if (seen.length === 0) throw codedError('no_relay', `${agent.name} knows no relay of this mesh; the list stays as it is`)
      const result = await signRelays(mesh, { seen, lifeMs })
      await agent.putList(result.signed)
      tell(out, result)
      return
    }
    await untilStopped(async (signal) => {
      const signer = new Signer(out, (seen) => signRelays(mesh, { lifeMs, ...(seen === undefined ? {} : { seen }) }), agent)
      await signer.run(signal)
    })
  } finally {
    agent.close()
  }
}

/** One thing at a time: what Consul says is signed in the order it was said, and put back until Consul has it. */
class Signer {
  readonly #out: Output
  readonly #sign: (seen: readonly SeenRelay[] | undefined) => Promise<SignedRelays>
  readonly #agent: ConsulAgent
  #seen: SeenRelays | undefined
  #put = 0
  /** Told once, not every second. */
  #strangers = ''
  #turn: Promise<void> = Promise.resolve()

  constructor(out: Output, signSeen: (seen: readonly SeenRelay[] | undefined) => Promise<SignedRelays>, agent: ConsulAgent) {
    this.#out = out
    this.#sign = signSeen
    this.#agent = agent
  }

  async run(signal: AbortSignal): Promise<void> {
    const { missingHeldMs, SeenRelays } = await import('@sennit/protocol')
    // What the list in force names is known already: an agent that is being filled again when the signer starts takes nothing from it.
    const { list } = await this.#sign([])
    const seen = new SeenRelays(missingHeldMs, list.relays)
    this.#seen = seen
    const stop = this.#agent.watchRelays({
      news: (relays, afterGap) => {
        seen.answer(Date.now(), relays, afterGap)
        const { held } = seen
        if (held.length > 0) this.#out.note(`${this.#agent.name} names ${held.join(', ')} no more; kept for now`, { held })
        this.#next()
      },
      trouble: ({ code, message }) => this.#out.note(message, { code }),
    })
    const timer = setInterval(() => {
      seen.wake(Date.now())
      this.#next()
    }, lookEveryMs)
    this.#out.result({ ready: true, directory: this.#agent.name }, `signing what registers at ${this.#agent.name}; Ctrl-C ends it`)
    await aborted(signal)
    clearInterval(timer)
    stop()
    await this.#turn
  }

  #next(): void {
    this.#turn = this.#turn.then(() => this.#step())
  }

  async #step(): Promise<void> {
    const relays = this.#seen?.relays ?? []
    // An agent that names no relay is no ground to sign anything.
    if (relays.length === 0) return
    try {
      const result = await this.#sign(relays)
      const strangers = result.strangers.join()
      if (result.changed || strangers !== this.#strangers) tell(this.#out, result)
      this.#strangers = strangers
      // Put again from time to time, so that an agent that lost everything has it back.
      if (result.changed || this.#put !== result.list.version || (await this.#agent.list()) === undefined) {
        await this.#agent.putList(result.signed)
        this.#put = result.list.version
      }
    } catch (error) {
      this.#out.note((error as Error).message, { code: (error as { code?: string }).code })
    }
  }
}

function tell(out: Output, { list, changed, strangers }: SignedRelays): void {
  const relays = list.relays.map(({ relayId, draining = false }) => ({ id: relayId, draining }))
  const names = relays.map(({ id, draining }) => (draining ? `${id} (draining)` : id)).join(', ')
  const unknown = strangers.length === 0 ? '' : `; not of this mesh: ${strangers.join(', ')}`
  out.result(
    { version: list.version, changed, relays, strangers },
    `list ${list.version}${changed ? ' signed' : ' holds'}: ${names}${unknown}`,
  )
}

function meshOf({ mesh }: { mesh?: string }): string {
  if (mesh === undefined) throw usageError('expected --mesh DIR (or SENNIT_MESH); found neither')
  return mesh
}

function numberOf(option: string, text: string, max: number): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value <= max))
    throw usageError(`${option}: expected a number from 0 to ${max}; found "${text}"`)
  return value
}
