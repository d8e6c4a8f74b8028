// Peers that carry a stream end to end over several relays of theirs: two stand ready. Each is one small program around the peer's own library.
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePorts } from '@sennit/protocol/node'
import { type Command, listening } from '../processes.ts'
import { type System, toolsDir } from './system.ts'
import { between } from './two-servers.ts'

const irohProgram = join(toolsDir, 'iroh', 'bin', 'scorecard-iroh')
const tailscaleProgram = join(toolsDir, 'tailscale', 'bin', 'scorecard-tailscale')
const derper = join(toolsDir, 'tailscale', 'bin', 'derper')

export const iroh: System = {
  ...{ system: 'iroh', carrier: 'http', paths: '-' },
  missing: () => (existsSync(irohProgram) ? undefined : 'npm run tools -- iroh'),
  version: () => 'iroh and iroh-relay 1.4.1',
  start: (rig) => {
    const run = (...args: (string | number)[]): Command => ({ program: irohProgram, args: args.map(String) })
    return between(rig, (place) => run('relay', place.inner), {
      far: (target, places) => run('far', target, ...places.map(({ outer }) => `http://127.0.0.1:${outer}`)),
      near: (listen, places) => run('near', listen, ...places.map(({ outer }) => `http://127.0.0.1:${outer}`)),
    })
  },
}

export const tailscale: System = {
  ...{ system: 'Tailscale in userspace', carrier: 'derp', paths: '-' },
  missing: () => ([derper, tailscaleProgram].every(existsSync) ? undefined : 'npm run tools -- tailscale'),
  version: () => 'tailscale and derper 1.96.4',
  async start(rig) {
    const home = join(rig.dir, 'tailscale')
    mkdirSync(home)
    // Its nodes keep their temporary state where it goes with the run.
    const run = (...args: (string | number)[]): Command => ({ program: tailscaleProgram, args: args.map(String), env: { TMPDIR: home } })
    const [control = 0] = await freePorts(1)
    const url = `http://127.0.0.1:${control}`
    const server = (place: { readonly inner: number }, index: number): Command => ({
      program: derper,
      args: [
        ...['-a', `127.0.0.1:${place.inner}`, '-http-port', '-1', '-stun=false', '-c', join(home, `derper${index}.json`)],
        ...['-certmode', 'manual', '-hostname', '127.0.0.1', '-certdir', home],
      ],
    })
    return between(rig, server, {
      before: (places) => listening('127.0.0.1', control, rig.program(run('control', control, ...places.map(({ outer }) => outer)))),
      far: (target) => run('far', url, target),
      near: (listen) => run('near', url, listen),
    })
  },
}
