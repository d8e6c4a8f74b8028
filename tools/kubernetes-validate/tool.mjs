// kubernetes-validate (PyPI) brings the published schemas of Kubernetes along, so that manifests are checked without a cluster and without a network.
/** @type {import('../../scripts/tools.mjs').Tool} */
export default {
  what: 'kubernetes-validate 1.37.0, for the manifests in deploy/',
  takes: 'half a minute, 150 MB',
  programs: ['bin/kubernetes-validate'],
  needs: [{ program: 'python3', how: 'apt-get install python3 python3-venv' }],
  steps: ({ into }) => [
    { command: ['python3', '-m', 'venv', into] },
    { command: [`${into}/bin/pip`, 'install', '--quiet', 'kubernetes-validate==1.37.0'] },
    // The tool is built beside its final folder and renamed: its first line must not name the folder it was built in.
    {
      command: [
        'sed',
        '-i',
        '1s|^#!.*|#!/usr/bin/env -S sh -c \'exec "$(dirname "$0")/python3" "$0" "$@"\'|',
        `${into}/bin/kubernetes-validate`,
      ],
    },
  ],
}
