#!/usr/bin/env node
// Committed, because npm links no `bin` that does not exist yet when it installs; the program itself is built into `dist`.
import { main } from '../dist/main.js'

await main(process.argv.slice(2))
