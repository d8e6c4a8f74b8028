// promtool out of Debian's package, without installing the server.
/** @type {import('../../scripts/tools.mjs').Tool} */
export default {
  what: 'promtool (Debian), for the alert rules in deploy/',
  takes: 'seconds, 50 MB',
  programs: ['promtool'],
  needs: [
    { program: 'apt-get', how: 'Debian or Ubuntu; else put promtool on the PATH' },
    { program: 'dpkg-deb', how: 'apt-get install dpkg' },
  ],
  steps: ({ into }) => [
    {
      command: ['sh', '-c', 'apt-get download prometheus && dpkg-deb -x prometheus_*.deb x && mv x/usr/bin/promtool . && rm -r x *.deb'],
      cwd: into,
    },
  ],
}
