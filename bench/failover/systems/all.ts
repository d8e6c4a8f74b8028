/** Every system of the scorecard, ours first. */
import { iroh, tailscale } from './end-to-end.ts'
import { bore, haproxy, rathole, sshReverse } from './one-server.ts'
import { sennitForward, sennitLibrary } from './sennit.ts'
import type { System } from './system.ts'
import { devTunnels, libp2p, nats } from './two-servers.ts'

export const systems: readonly System[] = [
  sennitLibrary('upgrade', 'best'),
  sennitLibrary('http', 'best'),
  sennitLibrary('grpc', 'best'),
  sennitLibrary('upgrade', 'mirror(2)'),
  sennitLibrary('upgrade', 'disperse(2,3)'),
  sennitLibrary('upgrade', 'pair'),
  sennitLibrary('upgrade', 'rotate'),
  sennitLibrary('upgrade', 'spread'),
  sennitLibrary('upgrade', 'split(2)'),
  sennitForward('upgrade', 'best'),
  sennitForward('upgrade', 'mirror(2)'),
  sshReverse,
  haproxy,
  rathole,
  bore,
  libp2p,
  devTunnels,
  nats,
  iroh,
  tailscale,
]
