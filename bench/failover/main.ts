// `npm run scorecard`: the same faults for every system, round by round.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Fault, faults } from './faults.ts'
import { missesOf } from './limits.ts'
import { writePage } from './page.ts'
import { planOf, planText } from './plan.ts'
import { type KeptRound, lateMs as markedMs, mergeResults, type Results, readResults, rowsOf, subjectKey, writeResults } from './results.ts'
import { type Round, Rounds } from './rounds.ts'
import { systems } from './systems/all.ts'
import { Rig, type Started, type System } from './systems/system.ts'
import { nameOf, tableOf } from './table.ts'

const usage = `npm run scorecard -- [options]
  --rounds 20          rounds of each system under each fault
  --only 'a b,c'       only systems whose name has all of the words a and b, then those that have c
  --faults kill,cut    only these: ${faults.map(({ name }) => name).join(', ')}
  --json FILE          keeps the rounds of every stream that is over; run again with the same file, and only what is missing is run
  --merge A,B          adds the rounds of these files, and runs nothing
  --minutes 3          stops after the round that passes this
  --rate 20            megabytes a second of the stream
  --page               writes the table and the picture into docs/
  --list               says what would run, about how long it would take, and what is not installed`

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    only: { type: 'string', default: '' },
    faults: { type: 'string', default: '' },
    json: { type: 'string' },
    merge: { type: 'string' },
    minutes: { type: 'string' },
    rate: { type: 'string', default: '20' },
    page: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(usage)
  process.exit(0)
}

const bytesPerSecond = Number(values.rate) * 1e6
const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
const untilMs = performance.now() + (minutes ?? Number.POSITIVE_INFINITY) * 60_000
const machine = `${cpus().length} processors (${cpus()[0]?.model.trim()}), Node ${process.version}`
const nothing: Results = { machine, rows: [], versions: {}, missing: {}, rounds: [] }
const dir = mkdtempSync(join(tmpdir(), 'sennit-scorecard-'))
let rig: Rig | undefined
let started: Started | undefined
process.on('exit', () => {
  rig?.end()
  rmSync(dir, { recursive: true, force: true })
})
process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))

const wanted = wordsOf(values.only)
const wantedFaults = wordsOf(values.faults)
for (const name of wantedFaults)
  if (!faults.some((fault) => fault.name === name))
    throw new Error(`expected faults among ${faults.map(({ name }) => name).join(', ')}; found ${name}`)
for (const words of wanted)
  if (!systems.some((system) => hasWords(system, words)))
    throw new Error(`expected words of a system's name; found ${words}; known: ${systems.map(nameOf).join(' · ')}`)
const chosen = wanted.length === 0 ? systems : [...new Set(wanted.flatMap((words) => systems.filter((system) => hasWords(system, words))))]
const chosenFaults = faults.filter(({ name }) => wantedFaults.length === 0 || wantedFaults.includes(name))

if (values.list) {
  for (const system of chosen) {
    const install = system.missing()
    console.log(`${nameOf(system).padEnd(52)} ${install === undefined ? system.version() : `not installed: ${install}`}`)
  }
}

let results = (values.json === undefined ? undefined : readResults(values.json)) ?? nothing
if (values.list) {
  tellPlan()
  process.exit(0)
}
if (values.merge !== undefined) {
  for (const file of values.merge.split(',')) results = mergeResults(results, readResults(file) ?? fail(`no file ${file}`))
  keep()
} else {
  tellPlan()
  await runAll()
}

console.log(tableOf(results))
for (const row of results.rows)
  for (const miss of missesOf(row, results.rounds)) console.log(`LIMIT  ${nameOf(row)}, ${row.fault}: ${miss}`)
if (values.page) writePage(results)
process.exit(0)

async function runAll(): Promise<void> {
  for (const system of chosen) {
    const install = system.missing()
    if (install !== undefined) {
      results = mergeResults(results, { ...nothing, missing: { [system.system]: install } })
      keep()
      console.error(`${nameOf(system)}: not installed: ${install}`)
      continue
    }
    // One set-up serves all faults of processes and another all faults of the network, as long as it is as good as new.
    for (const network of [false, true]) {
      for (const fault of chosenFaults.filter((one) => one.network === network)) {
        try {
          if (!(await runOne(system, fault))) endRig()
        } catch (error) {
          console.error(`${nameOf(system)}, ${fault.name}: ${error instanceof Error ? error.message : String(error)}`)
          endRig()
        }
      }
      endRig()
    }
  }
}

function endRig(): void {
  rig?.end()
  rig = undefined
  started = undefined
}

/** @returns whether the system is as it was: every stream survived */
async function runOne(system: System, fault: Fault): Promise<boolean> {
  const subject = { system: system.system, carrier: system.carrier, paths: system.paths, fault: fault.name }
  const relays = system.relays === undefined ? {} : { relays: system.relays }
  const done = results.rounds.filter((round) => subjectKey(round) === subjectKey(subject)).length
  const rounds = Number(values.rounds)
  if (done >= rounds || performance.now() > untilMs) return true
  if (rig === undefined || started === undefined) {
    const place = join(dir, `${Date.now()}`)
    mkdirSync(place)
    rig = new Rig(place, fault.network, bytesPerSecond)
    started = await system.start(rig)
  }
  const runner = new Rounds(started, rig, fault)
  const versions = { [system.system]: system.version() }
  let sound = true
  // What became of the bytes is known when a stream is over; until then its rounds are nothing to keep.
  let open: KeptRound[] = []
  for (let number = done + 1; number <= rounds; number += 1) {
    const last = number === rounds || performance.now() > untilMs
    const round = await runner.next(last)
    sound &&= round.survived
    open.push({ ...subject, ...relays, at: new Date().toISOString(), ...rounded(round) })
    if (last || !round.survived) {
      results = mergeResults(results, { ...nothing, versions, rounds: open })
      open = []
      keep()
    }
    console.error(`${nameOf(system)}  ${fault.name} ${number}/${rounds}  ${tell(round)}`)
    if (last) break
  }
  return sound
}

function tellPlan(): void {
  const here = chosen.filter((system) => system.missing() === undefined)
  console.error(planText(planOf(here, chosenFaults, Number(values.rounds), results.rounds), minutes))
}

function keep(): void {
  if (values.json !== undefined) writeResults(values.json, { ...results, rows: rowsOf(results.rounds) })
}

function hasWords(system: System, words: string): boolean {
  return words.split(/\s+/).every((word) => nameOf(system).toLowerCase().includes(word))
}

function tell({
  survived,
  stallMs = 0,
  stallAtMs = 0,
  baseMs = 0,
  lateMs = 0,
  tookMs,
  backMs,
  lost,
  duplicated,
  reordered,
  corrupted,
  note,
}: Round): string {
  const back = backMs === undefined ? '' : `  new stream after ${backMs.toFixed(0)} ms`
  const damage = `  lost ${lost} dup ${duplicated} reord ${reordered}${corrupted > 0 ? ` CORRUPTED ${corrupted}` : ''}`
  const late = lateMs >= markedMs ? `  LATE ${lateMs.toFixed(1)} ms: generator or sink` : ''
  const when = stallMs > 0 ? ` at +${stallAtMs.toFixed(0)} ms` : ''
  return `${survived ? `stall ${stallMs.toFixed(1)} ms${when}` : `CUT (${note})`} (without a fault ${baseMs.toFixed(1)})${damage}${back}${late}  took ${(tookMs / 1000).toFixed(1)} s`
}

function rounded(round: Round): Round {
  return Object.fromEntries(
    Object.entries(round).map(([key, value]) => [key, typeof value === 'number' ? Math.round(value * 10) / 10 : value]),
  ) as unknown as Round
}

function wordsOf(text: string): string[] {
  // A comma inside brackets is part of a mode's name.
  return text
    .split(/,(?![^(]*\))/)
    .map((word) => word.trim().toLowerCase())
    .filter((word) => word !== '')
}

function fail(message: string): never {
  throw new Error(message)
}
