// Tailscale's derper, and its node as a library in one small program with its test control plane: main.go is the pipe between two sockets.
const flags = ['-trimpath', '-buildvcs=false', '-ldflags', '-s -w']

/** @type {import('../../scripts/tools.mjs').Tool} */
export default {
  what: 'Tailscale 1.96.4 in userspace, with its derper; a peer of the scorecard',
  takes: '8 minutes cold on one core, 35 MB, 600 MB of Go modules',
  programs: ['bin/derper', 'bin/scorecard-tailscale'],
  needs: [{ program: 'go', how: 'Go ≥ 1.26.1, https://go.dev/doc/install' }],
  sources: ['go.mod', 'go.sum', 'main.go'],
  steps: ({ here, into }) =>
    [
      ['derper', 'tailscale.com/cmd/derper'],
      ['scorecard-tailscale', '.'],
    ].map(([name, source]) => ({
      command: ['go', 'build', ...flags, '-o', `${into}/bin/${name}`, source],
      cwd: here,
      env: { CGO_ENABLED: '0' },
    })),
}
