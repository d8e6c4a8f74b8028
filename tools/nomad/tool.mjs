// The real Nomad agent (BUSL: used for tests only), built from the Go module proxy with the exact versions of go.mod and go.sum here.
/** @type {import('../../scripts/tools.mjs').Tool} */
export default {
  what: 'Nomad agent 1.10.5, for the tests of the engines that run relays and agents',
  takes: '10 to 15 minutes on 2 cores, 1.5 GB of Go modules',
  programs: ['nomad'],
  needs: [
    { program: 'go', how: 'Go ≥ 1.24.7, https://go.dev/doc/install' },
    { program: 'cc', how: 'apt-get install gcc libc6-dev' },
  ],
  sources: ['go.mod', 'go.sum'],
  steps: ({ here, into }) => [
    {
      command: ['go', 'build', '-trimpath', '-buildvcs=false', '-ldflags', '-s -w', '-o', `${into}/nomad`, 'github.com/hashicorp/nomad'],
      cwd: here,
      env: { CGO_ENABLED: '1' },
    },
  ],
}
