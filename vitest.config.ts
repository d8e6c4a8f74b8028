import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const root = fileURLToPath(new URL('.', import.meta.url))

// Suites run on the sources, so that a test never reads a stale build; only process tests use `dist`, through the program itself.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^@sennit\/(\w+)$/, replacement: `${root}$1/src/index.ts` },
      { find: /^@sennit\/(\w+)\/(\w+)$/, replacement: `${root}$1/src/$2/index.ts` },
    ],
  },
  test: {
    include: ['*/test/**/*.test.ts'],
    pool: 'forks',
    // One file a processor: most wait for real processes, and the default leaves one processor idle.
    maxWorkers: availableParallelism(),
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
