/** @type {import('../../scripts/tools.mjs').Tool} */
export default {
  what: 'bore 0.6.0, a TCP tunnel; a peer of the scorecard',
  takes: '2 minutes cold on 2 cores, 4 MB',
  programs: ['bin/bore'],
  needs: [{ program: 'cargo', how: 'rustup.rs' }],
  steps: ({ into }) => [{ command: ['cargo', 'install', 'bore-cli@0.6.0', '--locked', '--root', into] }],
}
