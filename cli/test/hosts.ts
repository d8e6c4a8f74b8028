// Hosts of their own for tests: network namespaces around one router, each on a cable (veth) of its own. Nothing leaves them.
import { execFileSync, spawnSync } from 'node:child_process'

/** Of the package iproute2, not of npm. */
const ip = 'ip'

/** Runs ip(8) or nft(8). @throws with what it said on stderr */
function tool(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' })
}

/** Why this machine has no such hosts; undefined when it has. */
export function whyNoHosts(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces need Linux'
  for (const [command, from] of [
    [ip, 'iproute2'],
    ['nft', 'nftables'],
  ] as const)
    if (spawnSync(command, ['-V']).error !== undefined) return `${command} is not installed: apt-get install ${from}`
  const probe = `sn${process.pid}p`
  try {
    tool(ip, 'netns', 'add', probe)
  } catch {
    return 'network namespaces need root (or CAP_SYS_ADMIN and CAP_NET_ADMIN): run the tests as root'
  }
  try {
    tool(ip, '-n', probe, 'link', 'add', 'name', 'probe0', 'type', 'veth', 'peer', 'name', 'probe1')
    tool(ip, 'netns', 'exec', probe, 'nft', 'add', 'table', 'inet', 'probe')
    return undefined
  } catch (error) {
    return `veth or nft does not work here: ${String((error as { stderr?: string }).stderr ?? error).trim()}`
  } finally {
    tool(ip, 'netns', 'del', probe)
  }
}

export class Hosts {
  readonly #prefix = `sn${process.pid}`
  readonly #names: readonly string[]

  /** Each host gets 10.77.N.2, N its place in the list from 1, and the router at 10.77.N.1. */
  constructor(names: readonly string[]) {
    this.#names = names
    const router = this.#space('router')
    tool(ip, 'netns', 'add', router)
    tool(ip, 'netns', 'exec', router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1')
    for (const [index, name] of names.entries()) {
      const space = this.#space(name)
      const net = `10.77.${index + 1}`
      tool(ip, 'netns', 'add', space)
      tool(ip, '-n', router, 'link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space)
      tool(ip, '-n', router, 'addr', 'add', `${net}.1/24`, 'dev', name)
      tool(ip, '-n', router, 'link', 'set', name, 'up')
      tool(ip, '-n', space, 'link', 'set', 'lo', 'up')
      this.#address(name, `${net}.2`)
    }
    tool(ip, 'netns', 'exec', router, 'nft', 'add', 'table', 'inet', 'drill')
    tool(ip, 'netns', 'exec', router, 'nft', 'add', 'chain', 'inet', 'drill', 'drops', '{ type filter hook forward priority 0 ; }')
  }

  address(name: string): string {
    return `10.77.${this.#names.indexOf(name) + 1}.2`
  }

  /** A second cable to a host, with an address of its own, as from another provider: what comes from that address goes out there. */
  secondCable(name: string): { readonly address: string; readonly cable: string } {
    const [router, space, net, cable] = [this.#space('router'), this.#space(name), `10.78.${this.#names.indexOf(name) + 1}`, `${name}-2`]
    tool(ip, '-n', router, 'link', 'add', 'name', cable, 'type', 'veth', 'peer', 'name', 'eth1', 'netns', space)
    tool(ip, '-n', router, 'addr', 'add', `${net}.1/24`, 'dev', cable)
    tool(ip, '-n', router, 'link', 'set', cable, 'up')
    tool(ip, '-n', space, 'addr', 'add', `${net}.2/24`, 'dev', 'eth1')
    tool(ip, '-n', space, 'link', 'set', 'eth1', 'up')
    tool(ip, '-n', space, 'rule', 'add', 'from', `${net}.2`, 'table', '2')
    tool(ip, '-n', space, 'route', 'add', 'default', 'via', `${net}.1`, 'table', '2')
    return { address: `${net}.2`, cable }
  }

  /** What runs a command on a host: its pid is that of the command. */
  on(name: string, command: string, ...args: string[]): [string, string[]] {
    return [ip, ['netns', 'exec', this.#space(name), command, ...args]]
  }

  /** Pulls the cable of a host out at the router, or puts it in again. */
  cable(name: string, state: 'up' | 'down'): void {
    tool(ip, '-n', this.#space('router'), 'link', 'set', name, state)
  }

  /** Drops every packet to or from a host, without a word. */
  drop(name: string, direction: 'to' | 'from'): void {
    const field = direction === 'to' ? 'daddr' : 'saddr'
    tool(
      'ip',
      'netns',
      'exec',
      this.#space('router'),
      'nft',
      'add',
      'rule',
      'inet',
      'drill',
      'drops',
      'ip',
      field,
      this.address(name),
      'drop',
    )
  }

  passAll(): void {
    tool(ip, 'netns', 'exec', this.#space('router'), 'nft', 'flush', 'chain', 'inet', 'drill', 'drops')
  }

  /** A host's address is gone and it has another one; sockets of the old one are not told. */
  move(name: string, last: number): void {
    tool(ip, '-n', this.#space(name), 'addr', 'flush', 'dev', 'eth0')
    this.#address(name, this.address(name).replace(/2$/, String(last)))
  }

  /** Ends the hosts. What runs on them must have ended before. */
  remove(): void {
    for (const name of [...this.#names, 'router']) spawnSync(ip, ['netns', 'del', this.#space(name)])
  }

  #address(name: string, address: string): void {
    const space = this.#space(name)
    tool(ip, '-n', space, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    tool(ip, '-n', space, 'link', 'set', 'eth0', 'up')
    tool(ip, '-n', space, 'route', 'replace', 'default', 'via', address.replace(/\d+$/, '1'))
  }

  #space(name: string): string {
    return `${this.#prefix}${name}`
  }
}
