import { npmPackages } from '../npm-packages.mjs'

export default npmPackages({
  what: 'the NATS client 3.4 for Node; with nats-server a peer of the scorecard',
  takes: 'a few seconds, 2 MB',
  packages: ['@nats-io/transport-node@3.4.0'],
})
