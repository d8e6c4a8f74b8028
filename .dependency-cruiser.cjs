// The import table of docs/architecture.md, as rules. A row there without a rule here is a bug.
const folder = (name) => `^(${name})/|^node_modules/@sennit/(${name})(/|$)`

module.exports = {
  forbidden: [
    {
      name: 'protocol-imports-nothing-of-ours',
      severity: 'error',
      from: { path: '^protocol/' },
      to: { path: folder('client|relay|central|loadtest|cli|bench') },
    },
    {
      name: 'client-imports-protocol-only',
      severity: 'error',
      from: { path: '^client/' },
      to: { path: folder('relay|central|loadtest|cli|bench') },
    },
    {
      name: 'relay-imports-protocol-only',
      severity: 'error',
      from: { path: '^relay/' },
      to: { path: folder('client|central|loadtest|cli|bench') },
    },
    { name: 'loadtest-imports-no-program', severity: 'error', from: { path: '^loadtest/' }, to: { path: folder('central|cli|bench') } },
    {
      name: 'only-the-virtual-world-holds-relay-cores',
      severity: 'error',
      from: { path: '^loadtest/src/(?!virtual/)' },
      to: { path: folder('relay') },
    },
    {
      name: 'the-virtual-world-holds-relay-cores-only',
      severity: 'error',
      from: { path: '^loadtest/src/virtual/' },
      to: { path: '^relay/(src|dist)/(node/|index\\.)' },
    },
    {
      name: 'nobody-imports-cli-or-bench',
      severity: 'error',
      from: { path: '^(protocol|client|relay|loadtest)/' },
      to: { path: folder('cli|bench') },
    },
    { name: 'bench-imports-client-and-relay', severity: 'error', from: { path: '^bench/' }, to: { path: folder('central|loadtest|cli') } },
    {
      name: 'pure-cores-touch-no-machine',
      severity: 'error',
      from: { path: '^(client/src/core|relay/src/core|protocol/src/(?!node/))' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'pure-cores-import-no-shell',
      severity: 'error',
      from: { path: '^(client/src/core|relay/src/core|protocol/src/(?!node/))' },
      to: { path: '^(client/src/(node|browser|forward)|relay/src/node|protocol/(src|dist)/node)/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    // Programs of peers run as copies beside their packages, which are installed outside the tree.
    { name: 'no-unresolvable', severity: 'error', from: { pathNot: '^bench/failover/peers/' }, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules|/dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.d.ts'],
    },
  },
}
