// The real Consul agent (BUSL: used for tests only), built from the Go module proxy with the exact versions of go.mod and go.sum here.
/** @type {import('../../scripts/tools.mjs').Tool} */
export default {
  what: 'Consul agent 1.22.3, for the tests of the directory',
  takes: '10 to 15 minutes on 2 cores, 2.4 GB of Go modules',
  programs: ['consul'],
  needs: [{ program: 'go', how: 'Go ≥ 1.25, https://go.dev/doc/install' }],
  sources: ['go.mod', 'go.sum'],
  steps: ({ here, into }) => [
    {
      command: ['go', 'build', '-trimpath', '-buildvcs=false', '-ldflags', '-s -w', '-o', `${into}/consul`, 'github.com/hashicorp/consul'],
      cwd: here,
      env: { CGO_ENABLED: '0' },
    },
  ],
}
