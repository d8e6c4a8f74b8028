// Without --locked: its lock file names versions that newer compilers refuse.
/** @type {import('../../scripts/tools.mjs').Tool} */
export default {
  what: 'rathole 0.5.0, a reverse TCP proxy; a peer of the scorecard',
  takes: '6 minutes cold on 2 cores, 6 MB; needs libssl-dev and pkg-config',
  programs: ['bin/rathole'],
  needs: [{ program: 'cargo', how: 'rustup.rs' }],
  steps: ({ into }) => [{ command: ['cargo', 'install', 'rathole@0.5.0', '--root', into] }],
}
