import { npmPackages } from '../npm-packages.mjs'

export default npmPackages({
  what: 'js-libp2p 3.3 with circuit relay v2; a peer of the scorecard',
  takes: 'half a minute, 60 MB',
  packages: [
    'libp2p@3.3.11',
    '@libp2p/circuit-relay-v2@4.2.13',
    '@chainsafe/libp2p-noise@17.0.0',
    '@chainsafe/libp2p-yamux@8.0.1',
    '@libp2p/tcp@11.0.28',
    '@libp2p/identify@4.1.14',
    '@libp2p/crypto@5.1.23',
    '@libp2p/peer-id@6.0.15',
    '@multiformats/multiaddr@13.0.3',
  ],
})
