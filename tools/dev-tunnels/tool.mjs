import { npmPackages } from '../npm-packages.mjs'

export default npmPackages({
  what: 'dev-tunnels-ssh 3.12, SSH that reconnects; a peer of the scorecard',
  takes: 'a few seconds, 10 MB',
  packages: ['@microsoft/dev-tunnels-ssh@3.12.42', '@microsoft/dev-tunnels-ssh-tcp@3.12.42'],
})
