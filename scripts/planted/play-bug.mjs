// One process, one bug: plays seeds until one fails, and prints what became of it as one line of JSON.
import { register } from 'node:module'
import { bugs } from './bugs.mjs'

const [name, seedsMax, from] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])]
const bug = bugs.find((one) => one.name === name)
register('./patch-hooks.mjs', import.meta.url, { data: bug })
const { simulateSeed } = await import('../../loadtest/dist/virtual/index.js')
let found
let seeds = 0
while (found === undefined && seeds < seedsMax) {
  const { violation } = simulateSeed(from + seeds)
  seeds += 1
  if (violation !== undefined) found = { property: violation.property, message: violation.message.split('\n')[0].slice(0, 200) }
}
console.log(JSON.stringify({ name, found: found !== undefined, seeds, ...found }))
