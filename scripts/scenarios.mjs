// `npm run scenarios`: every numbered workbook of scenarios/ in the simulated world, whole, and again with the feature it proves taken away, which must
// break the limit that it is there for. `--live`: with real relays instead, at the reduced scale of the table. Names choose some: `-- 01 07`.
import { fileURLToPath } from 'node:url'
import { checkWorkbook, runTest } from '../loadtest/dist/index.js'
import { firstSeconds, scenarios } from './scenario-table.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const args = process.argv.slice(2)
const live = args.includes('--live')
const names = args.filter((arg) => !arg.startsWith('-'))
let wrong = 0

for (const { name, live: reduced, without } of scenarios) {
  if (names.length > 0 && !names.some((one) => name.startsWith(one))) continue
  if (live) {
    await one(name, reduced, 'live', (plan) => plan)
    continue
  }
  await one(name, {}, 'virtual', (plan) => plan)
  await one(name, without, 'virtual', without.change, without)
}
console.log(wrong === 0 ? 'all as they should be' : `${wrong} not as they should be`)
process.exitCode = wrong === 0 ? 0 : 1

async function one(name, { scale = 1, seconds }, engine, change, without) {
  const { plan, errors } = await checkWorkbook(`${root}scenarios/${name}.xlsx`, { scale })
  if (plan === undefined) throw new Error(`${name}.xlsx: ${errors[0].text}`)
  const startedMs = performance.now()
  const { summary, reasons } = await runTest(
    change(firstSeconds(plan, seconds)),
    engine === 'live' ? { engine: 'local', relayCommand: [process.execPath, `${root}cli/bin/sennit.mjs`, 'relay'] } : {},
  )
  const broken = summary.limits.filter(({ held }) => held === false).map(({ limit }) => limit)
  const right = without === undefined ? summary.exitCode === 0 : broken.includes(without.breaks)
  if (!right) wrong += 1
  const took = ((performance.now() - startedMs) / 1000).toFixed(0)
  const part = `${scale === 1 ? '' : ` scale ${scale}`}${seconds === undefined ? '' : ` first ${seconds} s`}`
  const what = without === undefined ? `exit code ${summary.exitCode}` : `with ${without.what} breaks ${broken.join(', ') || 'nothing'}`
  console.log(
    `${right ? 'ok   ' : 'WRONG'} ${name} ${engine}${part}: ${summary.clients.planned} clients, ${summary.integrity.messages} messages, ${what} (${took} s)`,
  )
  if (!right) for (const reason of reasons) console.log(`        ${reason}`)
}
