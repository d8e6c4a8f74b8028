// A workbook that a person wants to fill in: a help sheet, every sheet with every column and a note at each, drop-down lists, and examples that run as
// they are. What a column takes is said here in words; what it really takes stands where it is read, and a test runs what is written here.
import { SennitError } from '@sennit/protocol'
import { actionNames } from '../fault-actions.ts'
import { type RunKey, runKeys, type SheetName, sheetColumns } from './columns.ts'
import { type RichColumn, type RichSheet, writeRichWorkbook } from './rich-workbook.ts'
import type { CellValue } from './write-workbook.ts'

/** A sheet with more rows is better made by a program. */
export const templateClientsMax = 10_000

type Notes = { readonly [Sheet in SheetName]: { readonly [Column in (typeof sheetColumns)[Sheet][number]]: string } }

const notes: Notes = {
  Run: { key: 'A setting of the run.', value: 'Its value; blank is the default.', note: 'For people; not read.' },
  Zones: {
    zone: 'Name of a region. Clients and relays say which one they are in.',
    label: 'How reports call it.',
    agents_min: 'So many agents of this zone must take part, such as 2; blank: none need to. See --agents.',
    clock_offset: 'The clocks of its relays and clients are ahead by this, such as -1h or +30s. Default 0ms.',
    clock_drift: 'They gain so much, such as 0.5% or -1%; at most 10% either way. Default 0%.',
  },
  Links: {
    from: 'A zone of Zones.',
    to: 'A zone of Zones; may be the same one.',
    rtt: 'Round trip planted between them, such as 40ms.',
    jitter: 'Varies each way by up to this, such as 5ms.',
    loss: 'Share of packets lost at first, such as 1%; over a byte stream they come late. Default none.',
    loss_burst: 'So many packets in a row are lost on average, such as 3. Default 1.',
    bandwidth: 'What one attachment carries each way, such as 400KB/s. Default unlimited.',
    symmetric: 'yes: the row holds both ways. Default yes.',
  },
  Relays: {
    relay: 'Name of a relay, such as r1.',
    zone: 'Where it stands: a zone of Zones.',
    url: 'Blank: the test starts it. A URL only with --mesh.',
    managed: 'yes: started, stopped and killed by the test. Default yes.',
    config: 'Settings of this relay, in the words of relay.toml: limits.attachments = 100; traits.region = eu.',
    weight: 'How likely relays = random puts it first, against the others. Default 1.',
    failure_domain: 'Relays that fail together share one, such as a rack.',
    enabled: 'no leaves the row out.',
  },
  Profiles: {
    profile: 'Name of a class of traffic. Clients use the first row unless they name another.',
    packet_size:
      'Bytes of a message: const(1024), uniform(64,1500), normal(1024,128), lognormal(1024,0.5), exp(1024), mix(64:70%,1500:30%).',
    rate: 'Messages a second, such as 10/s or 600/min. A stall can be told only at 100/s or more.',
    burst: 'Messages that come at one go. Default 1.',
    think: 'The closed model: how long after the answer the next message is due, such as 1s or exp(2s). Leave rate blank then.',
    direction: 'send, receive or both. Default both.',
    key_mode: 'blind: nobody on the way reads anything; relay: the relays may; none: everybody may. Default blind.',
    compression: 'none, auto (where it pays) or always; messages are then text. Default none.',
    paths: 'How connections use their relays: best, mirror(2) … Default best.',
    mode: 'reliable; or datagram: sent once, and what does not arrive is missing, not lost. Default reliable.',
    flow_check: 'full checks every byte; counter only counts; none does nothing. Default full.',
  },
  Clients: {
    client: 'One simulated client a row. {n} becomes its number where count is over 1.',
    count: 'How many alike. Default 1.',
    enabled: 'no leaves the row out.',
    tags: 'Words for faults and limits, separated by spaces or commas.',
    zone: 'Where it is: a zone of Zones.',
    user: 'Its user; default its own name.',
    application: 'What the connection is for. Default test.',
    profile: 'A row of Profiles. Default the first.',
    peer: 'Whom it calls: a client, or * to be called only. Default neighbours: 1 with 2, 3 with 4.',
    relays: 'nearest, random, or list(r1,r2). Default nearest.',
    bind: 'Addresses of its machine that it dials from, such as 127.0.0.2,127.0.0.3: as many links to every relay. Default one.',
    proxy: 'Outbound proxy of this client.',
    carrier: 'auto, upgrade, http or grpc. Default auto.',
    attach_at: 'When it comes, such as 5s. Default 0s.',
    detach_at: 'When it goes, such as 20s or end. Default end.',
    connect: 'When it calls its peer: once, never, at(30s), every(5m,±10%) or poisson(0.2/s). Default once.',
    session: 'How long a connection lasts, such as 30s or exp(1m). Default: to the end.',
    disconnect: 'How a session ends, and how it leaves: clean, reset (aborts) or vanish (without a word). Default clean.',
    reconnect: 'After a session: yes, no, or how long later, such as 5s or exp(10s). Default yes; no where connect repeats.',
    packet_size: 'Overrides the profile.',
    rate: 'Overrides the profile.',
    burst: 'Overrides the profile.',
    data_limit: 'Stops sending after so much, such as 10MiB.',
    key_mode: 'Overrides the profile.',
    paths: 'Overrides the profile.',
    read_rate: 'Reads no faster, such as 64kbit/s. Default unlimited.',
    inject: 'What it does that it should not, and when: at(40s):reset; once:bad_password.',
    expect: 'delivered; rejected: it must get no connection; disconnected: it must lose it. Default delivered.',
    note: 'For people; not read.',
  },
  Phases: {
    phase: 'Its name, for limits such as phase:ramp.',
    start: 'When it begins, such as 30s. Default: where the row above ends.',
    duration: 'How long it lasts. Default: until the next row begins, or to the end.',
    target: 'Whose: client:cam-*, tag:iot, zone:eu, percent(20%,tag:iot) or *. Default *.',
    executor:
      'fixed: clients do what their rows say. constant_rate, ramping_rate: how fast they send together. constant_clients, ramping_clients: how many are there. stairs: either, step by step.',
    from: 'Where a ramp or stairs begin: 100/s together, 50% of their own rates, or 10 clients.',
    to: 'Where it ends, or what a constant holds: 1000/s, 200%, 100 clients.',
    step: 'Stairs: how much more at each step, such as 100/s.',
    hold: 'Stairs: how long each step lasts. Default: the duration in equal parts.',
  },
  Faults: {
    fault: 'Its name, for limits such as during:F1.',
    when: 'at(30s), every(5m,±10%), poisson(0.2/s), once, after:F1+5s, or never: only by hand, while the run lasts.',
    duration: 'How long it lasts, such as 3s.',
    target: 'relay:r1, relay:*, busiest(relay:*), one(relay:*), zone:eu, link:eu>us, client:c1, client:c1/link:2, tag:iot.',
    action: `One of: ${actionNames.join(', ')}.`,
    p1: 'First parameter of the action, such as 100ms for latency. test check says what an action takes.',
    p2: 'Second parameter.',
    p3: 'Third parameter.',
    p4: 'Fourth parameter.',
    heal: 'auto takes it away at its end; never leaves it. Default auto.',
    abort_if:
      'It does not begin, or is healed at once, when: never_recovered > 0; p99 > 500ms; without_path > 10%; relays_up < 2; limit:L1.',
    expect: 'survive: no connection is without a path for 10 s. degrade, outage: it may be. Default survive.',
    note: 'For people; not read.',
  },
  Limits: {
    limit: 'Its name in the report.',
    metric: 'What is measured: lost, duplicated, reordered, corrupted, never_recovered, stall, response_time, connect_time …',
    filter: 'Only part of it: tag:measured; zone:eu, or profile:, client:, relay:, action:, fault:.',
    stat: 'p(99), max, min, avg, count, rate or value.',
    op: '<=, >=, =, <, > or !=.',
    value: 'With its unit: 50ms, 0, 1MB/s.',
    window: 'run, steady, phase:rush, during:F1 or after:F1+10s. Default run.',
    severity: 'fail: the run fails. warn: it says so. sometimes: must hold once, or the run proved nothing.',
    abort: 'yes: the run ends early, and fails, once the limit is broken for abort_delay. Default no.',
    abort_delay: 'How long it must be broken without a break. Default 5s.',
    note: 'For people; not read.',
  },
}

const yesNo = ['yes', 'no']
const carriers = ['auto', 'upgrade', 'http', 'grpc']
const paths = ['best', 'pair', 'rotate(10s)', 'spread', 'mirror(2)']

const choices: { readonly [Sheet in SheetName]?: Readonly<Record<string, readonly string[]>> } = {
  Links: { symmetric: yesNo },
  Relays: { managed: yesNo, enabled: yesNo },
  Profiles: {
    direction: ['both', 'send', 'receive'],
    key_mode: ['blind', 'relay', 'none'],
    mode: ['reliable', 'datagram'],
    compression: ['none', 'auto', 'always'],
    flow_check: ['full', 'counter', 'none'],
    paths,
  },
  Clients: {
    enabled: yesNo,
    relays: ['nearest', 'random'],
    carrier: carriers,
    connect: ['once', 'never', 'at(30s)', 'every(1m,±10%)'],
    session: ['30s', 'exp(1m)', 'uniform(10s,60s)'],
    reconnect: ['yes', 'no', '5s', 'exp(10s)'],
    disconnect: ['clean', 'reset', 'vanish'],
    key_mode: ['blind', 'relay', 'none'],
    paths,
    expect: ['delivered', 'rejected', 'disconnected'],
  },
  Phases: {
    executor: ['fixed', 'constant_clients', 'ramping_clients', 'constant_rate', 'ramping_rate', 'stairs'],
    target: ['*', 'tag:iot'],
  },
  // All of them do not fit into one list of a spreadsheet.
  Faults: {
    action: [
      ...['kill', 'term', 'drain', 'pause', 'restart', 'rolling_restart', 'cpu_hog', 'clock_offset', 'cert_expired', 'blackhole'],
      ...['cut', 'one_way', 'flap', 'reset_peer', 'latency', 'loss', 'bandwidth', 'corrupt', 'vanish', 'sleep'],
    ],
    heal: ['auto', 'never'],
    expect: ['survive', 'degrade', 'outage'],
    target: ['busiest(relay:*)', 'one(relay:*)', 'relay:*', 'relay:r1'],
  },
  Limits: {
    op: ['<=', '>=', '=', '<', '>', '!='],
    severity: ['fail', 'warn', 'sometimes'],
    abort: yesNo,
    window: ['run', 'steady'],
    stat: ['value', 'p(99)', 'max', 'avg'],
  },
}

const run: { readonly [Key in RunKey]: readonly [CellValue, string] } = {
  name: ['my-test', 'part of the names of the results'],
  seed: [1, 'the same seed gives the same sizes, times and choices'],
  duration: ['30s', 'how long the clients send'],
  warmup: ['5s', 'outside the latency limits'],
  drain: ['10s', 'then at most this long is waited for what is under way'],
  ramp_limit: ['50/s', 'clients that attach in a second'],
  engine: ['local', 'this machine; or where agents come from: attach, slurm, nomad, kubernetes'],
  agents: ['auto', 'one process; or how many agents share the clients, such as 4'],
  model: ['open', 'a message is due whether or not the last one arrived; closed: only when it was answered'],
  percentiles: ['50,90,99,99.9', 'in the reports'],
  clock_error_max: ['5ms', 'more makes the run inconclusive'],
  loop_delay_p99_max: ['50ms', 'a busier machine makes the run inconclusive: it measured itself'],
  on_agent_loss: ['inconclusive', 'or abort: the run ends when an agent is lost'],
  report: ['html,xlsx,json', 'also csv, junit, prometheus'],
  live_port: [0, 'port of a page to watch and steer the run by; 0: none'],
}

const help: readonly string[] = [
  'A test of a relay mesh: one row of the sheet Clients is one simulated client, which is the real client library.',
  'Check it:   sennit test check FILE.xlsx       says every mistake at once, with its cell, and marks the cells in FILE.checked.xlsx',
  'Run it:     sennit test run FILE.xlsx         real relays, real faults; a report, a workbook with verdicts and summary.json in sennit-results/',
  'Simulate:   sennit test run FILE.xlsx --virtual   the same in a simulated world, seconds for hours',
  'Smaller:    sennit test run FILE.xlsx --scale 0.1 a tenth of the clients',
  '',
  'Point at a header to read what its column takes. Blank is the default. Every sheet but Clients may be empty or gone.',
  'A row whose first cell begins with # is not read; nor is a column or a sheet whose name begins with # or x_, like this one.',
  '',
  'Durations: 250ms 30s 5m 2h    Rates: 10/s 600/min    Sizes: 64 1500B 4KiB    Bandwidth: 64kbit/s 1.5MB/s    Shares: 2%',
  'Schedules: at(30s) every(5m,±10%) poisson(0.2/s) once after:F1+5s',
  '',
  'Come and go: session, reconnect and disconnect of Clients; Phases says how fast clients send together, or how many of them are there.',
  'Wait for answers: model = closed in Run, or think in Profiles; peer = echo gives a client somebody who only answers it.',
  'Several machines: agents = 4 in Run starts four processes here; engine = attach, slurm, nomad or kubernetes waits for them from elsewhere.',
  'End early: abort = yes of a limit ends the run once it is broken for abort_delay; abort_if of a fault keeps it from beginning, or heals it.',
  'Rows that begin with # are examples of these: take the # away, and they count.',
  '',
  'As it is, the clients talk in pairs, 1 with 2, 3 with 4; after 12 s the busiest relay is killed for 3 s, and not one byte may be lost.',
  'Exit codes: 0 pass, 99 a limit broken, 104 bad workbook, 105 interrupted, 120 a byte lost, 121 never recovered, 122 inconclusive.',
]

/** The bytes of a new workbook. @throws SennitError `usage` unless `clients` is an even number from 2 to {@link templateClientsMax} */
export async function newWorkbook(options: { readonly clients: number }): Promise<Uint8Array> {
  const { clients } = options
  if (!Number.isInteger(clients) || clients < 2 || clients > templateClientsMax || clients % 2 !== 0)
    throw new SennitError('usage', `expected an even number of clients from 2 to ${templateClientsMax}; found ${clients}`)
  return await writeRichWorkbook([{ name: '# Help', rows: help.map((line) => [line]) }, ...sheetsOf(clients)])
}

/** Behind the rows that count: what else there is, each ready to be taken. */
const examples: { readonly [Sheet in SheetName]?: readonly Readonly<Record<string, CellValue>>[] } = {
  Zones: [{ zone: '# late', label: 'machines without time service', clock_offset: '-10m', clock_drift: '0.5%' }],
  Relays: [{ relay: '# small', managed: 'yes', config: 'limits.attachments = 100', weight: 0.5, enabled: 'yes' }],
  Profiles: [{ profile: '# ask', packet_size: 'const(200)', think: 'exp(1s)', flow_check: 'full' }],
  Clients: [
    {
      client: '# visitor-{n}',
      count: 4,
      peer: 'echo',
      session: 'exp(10s)',
      reconnect: 'exp(2s)',
      disconnect: 'clean',
      note: 'comes and goes',
    },
    { client: '# crash-{n}', count: 2, session: '8s', reconnect: '1s', disconnect: 'vanish', note: 'loses its power again and again' },
    { client: '# door', peer: '*', note: 'calls nobody; take it with the next row' },
    { client: '# thief', peer: 'door', inject: 'once:bad_password', expect: 'rejected', note: 'must be turned away' },
  ],
  Phases: [{ phase: '# rush', start: '15s', duration: '10s', target: 'tag:measured', executor: 'constant_rate', to: '150%' }],
  Faults: [
    {
      fault: '# F2',
      when: 'after:F1+3s',
      duration: '4s',
      target: 'relay:r1',
      action: 'cert_expired',
      abort_if: 'never_recovered > 0',
      expect: 'survive',
      note: 'its certificate has ended; not begun where a connection was lost for good',
    },
  ],
  Limits: [
    {
      limit: '# slow',
      metric: 'response_time',
      stat: 'p(99)',
      op: '<=',
      value: '2s',
      abort: 'yes',
      abort_delay: '5s',
      note: 'ends the run',
    },
  ],
}

function sheetsOf(clients: number): RichSheet[] {
  // One busy pair in ten, so that the killed relay most likely carries one of them, but no more than one process sends with ease.
  const measured = Math.min(8, 2 * Math.ceil(clients / 20))
  const rows: { readonly [Sheet in SheetName]: readonly Readonly<Record<string, CellValue>>[] } = {
    Run: runKeys.map((key) => ({ key, value: run[key][0], note: run[key][1] })),
    Zones: [{ zone: 'here', label: 'this machine' }],
    Links: [],
    Relays: ['r1', 'r2', 'r3'].map((relay, index) => ({
      relay,
      zone: 'here',
      managed: 'yes',
      weight: 1,
      failure_domain: 'abc'[index] ?? '',
      enabled: 'yes',
    })),
    Profiles: [
      { profile: 'talk', packet_size: 'uniform(100,300)', rate: '2/s', direction: 'both', flow_check: 'full', paths: 'best' },
      { profile: 'measured', packet_size: 'const(200)', rate: '110/s', direction: 'both', flow_check: 'full', paths: 'best' },
    ],
    Clients: Array.from({ length: clients }, (_, index) => ({
      client: `c${String(index + 1).padStart(String(clients).length, '0')}`,
      tags: index < measured ? 'measured' : '',
      zone: 'here',
      profile: index < measured ? 'measured' : 'talk',
      carrier: 'auto',
      note: index % 2 === 0 ? 'calls the next row' : 'is called by the row above',
    })),
    Phases: [],
    Faults: [
      {
        fault: 'F1',
        when: 'at(12s)',
        duration: '3s',
        target: 'busiest(relay:*)',
        action: 'kill',
        heal: 'auto',
        expect: 'survive',
        note: 'kill -9, started again after 3 s',
      },
    ],
    Limits: [
      ...['lost', 'duplicated', 'reordered', 'corrupted', 'never_recovered'].map((metric) => ({
        limit: metric,
        metric,
        stat: 'value',
        op: '=',
        value: 0,
        window: 'run',
        severity: 'fail',
      })),
      { limit: 'stall', metric: 'stall', filter: 'tag:measured', stat: 'max', op: '<=', value: '1s', window: 'run', severity: 'warn' },
    ],
  }
  return (Object.keys(sheetColumns) as SheetName[]).map((sheet) => {
    const titles: readonly string[] = sheetColumns[sheet]
    const columns = titles.map((title): RichColumn => {
      const offered = choices[sheet]?.[title]
      const note = (notes[sheet] as Readonly<Record<string, string>>)[title] ?? ''
      return { title, note, ...(offered === undefined ? {} : { choices: offered }) }
    })
    const more = examples[sheet] ?? []
    return { name: sheet, columns, rows: [...rows[sheet], ...more].map((row) => titles.map((title) => row[title] ?? null)) }
  })
}
