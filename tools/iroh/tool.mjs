// iroh's relay server and its endpoint, as libraries in one small program: src/main.rs is the pipe between two sockets.
/** @type {import('../../scripts/tools.mjs').Tool} */
export default {
  what: 'iroh 1.4.1, QUIC end to end through its relays; a peer of the scorecard',
  takes: '8 minutes cold on one core, 15 MB',
  programs: ['bin/scorecard-iroh'],
  needs: [{ program: 'cargo', how: 'rustup.rs (Rust ≥ 1.91)' }],
  sources: ['Cargo.toml', 'Cargo.lock', 'src/main.rs'],
  steps: ({ here, into }) => [
    {
      command: ['cargo', 'install', '--path', here, '--locked', '--root', into],
      env: { CARGO_TARGET_DIR: `${into}/target` },
    },
    { command: ['rm', '-r', `${into}/target`] },
  ],
}
