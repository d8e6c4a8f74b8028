// A tool that is packages of npm, which must not become dependencies of ours: they are installed into the tool's own folder.
/**
 * @param {{ what: string, takes: string, packages: readonly string[] }} tool the first package is the one looked for
 * @returns {import('../scripts/tools.mjs').Tool}
 */
export function npmPackages({ what, takes, packages }) {
  const name = packages[0].slice(0, packages[0].lastIndexOf('@'))
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--save-exact']
  return {
    what,
    takes,
    programs: [`node_modules/${name}/package.json`],
    needs: [{ program: 'npm', how: 'nodejs.org' }],
    steps: ({ into }) => [{ command: ['npm', 'install', '--prefix', into, ...flags, ...packages] }],
  }
}
