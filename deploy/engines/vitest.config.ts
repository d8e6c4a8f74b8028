// `npm run test:engines`: what is shipped for Nomad, Slurm and others, run by the real ones. It takes minutes, so it is a suite of its own.
import { fileURLToPath } from 'node:url'
import { defineConfig, mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

const own = mergeConfig(base, defineConfig({ root: fileURLToPath(new URL('../..', import.meta.url)) }))
// Replaced, not merged: the other suites are not this one's. One at a time: engines take the whole machine.
own.test.include = ['deploy/engines/**/*.test.ts']
own.test.maxWorkers = 1

export default own
