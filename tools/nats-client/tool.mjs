/** @type {import('../../scripts/tools.mjs').Tool} */
export default {
  what: 'the NATS client 3.4 for Node; with nats-server a peer of the scorecard',
  takes: 'a few seconds, 2 MB',
  programs: ['node_modules/@nats-io/transport-node/package.json'],
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
        '@nats-io/transport-node@3.4.0',
      ],
    },
  ],
}
