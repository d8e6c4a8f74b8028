/** @type {import('../../scripts/tools.mjs').Tool} */
export default {
  what: 'dev-tunnels-ssh 3.12, SSH that reconnects; a peer of the scorecard',
  takes: 'a few seconds, 10 MB',
  programs: ['node_modules/@microsoft/dev-tunnels-ssh/package.json'],
  needs: [{ program: 'npm', how: 'nodejs.org' }],
  steps: ({ into }) => [
    {
      command: [
        'npm',
        'install',
        '--prefix',
        into,
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        '--save-exact',
        '@microsoft/dev-tunnels-ssh@3.12.42',
        '@microsoft/dev-tunnels-ssh-tcp@3.12.42',
      ],
    },
  ],
}
