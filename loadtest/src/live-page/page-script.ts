// What runs in the live page. Plain script of the browser, as text: the page carries it, and its policy lets nothing else run. Whatever comes from
// the run is set as text, never as markup.
export const pageScript: string = `'use strict'
const $ = (id) => document.getElementById(id)
const planned = { clients: +document.documentElement.dataset.clients, connections: +document.documentElement.dataset.connections, durationMs: +document.documentElement.dataset.duration }
const svgName = 'http://www.w3.org/2000/svg'
let points = []
let paused = false
let over = false

const make = (name, text, kind) => {
  const element = document.createElement(name)
  if (text !== undefined) element.textContent = text
  if (kind) element.className = kind
  return element
}
const number = (value, digits = 0) => value === null || value === undefined ? '–' : value.toLocaleString('en-US', { maximumFractionDigits: digits })
const ms = (value) => value === null ? '–' : value < 10 ? value.toFixed(2) : value < 1000 ? value.toFixed(1) : (value / 1000).toFixed(2) + ' s'
const seconds = (value) => (value / 1000).toFixed(0) + ' s'
const amount = (bytes) => bytes === null ? '–' : bytes >= 1e9 ? (bytes / 1e9).toFixed(2) + ' GB' : bytes >= 1e6 ? (bytes / 1e6).toFixed(1) + ' MB' : (bytes / 1e3).toFixed(1) + ' kB'

function table(place, caption, head, rows) {
  const result = make('table')
  result.setAttribute('aria-label', caption)
  const top = result.createTHead().insertRow()
  for (const [name, kind] of head) {
    const cell = make('th', name, kind)
    cell.scope = 'col'
    top.append(cell)
  }
  const body = result.createTBody()
  for (const row of rows) {
    const line = body.insertRow()
    row.forEach((value, index) => {
      const [text, kind] = Array.isArray(value) ? value : [value, head[index][1]]
      const cell = make(index === 0 ? 'th' : 'td', text, kind)
      if (index === 0) cell.scope = 'row'
      line.append(cell)
    })
  }
  place.replaceChildren(result)
}

function card(name, value, more, kind = '') {
  const one = make('div', undefined, 'card ' + kind)
  one.append(make('span', name), make('b', value), make('em', more))
  return one
}

function chart(id, lines, describe) {
  const svg = $(id)
  const shown = points.slice(-600)
  svg.replaceChildren()
  if (shown.length === 0) return
  const from = shown[0].atMs, to = Math.max(shown.at(-1).atMs, from + 10000)
  const top = Math.max(1e-9, ...shown.flatMap((point) => lines.map(([of]) => of(point) ?? 0)))
  const x = (at) => ((at - from) / (to - from)) * 600
  const y = (value) => 126 - (value / top) * 120
  for (const point of shown) if (point.fault) {
    const shade = document.createElementNS(svgName, 'rect')
    for (const [name, value] of [['x', x(point.atMs - 1000)], ['width', x(point.atMs) - x(point.atMs - 1000)], ['y', 0], ['height', 130], ['class', 'shaded']]) shade.setAttribute(name, value)
    svg.append(shade)
  }
  for (const [of, kind] of lines) {
    const line = document.createElementNS(svgName, 'polyline')
    line.setAttribute('class', kind)
    line.setAttribute('points', shown.filter((point) => of(point) !== null).map((point) => x(point.atMs).toFixed(1) + ',' + y(of(point)).toFixed(1)).join(' '))
    svg.append(line)
  }
  $(id + '-text').textContent = describe(shown.at(-1), top)
}

function draw({ status, view }) {
  const { clients, connections } = status
  paused = status.rampPaused
  $('stage').textContent = [status.stage, ...status.phases, seconds(status.nowMs) + ' of ' + seconds(planned.durationMs), ...(paused ? ['ramp paused'] : [])].join(' · ')
  $('progress').value = Math.min(planned.durationMs, status.nowMs)
  $('ramp').textContent = paused ? 'Go on with the ramp' : 'Pause the ramp'
  const bad = Object.values(status.damage).some((bytes) => bytes > 0)
  const p99 = view.latencies.find(([name]) => name === 'p99')
  $('cards').replaceChildren(
    card('attached', number(clients.attached), 'of ' + number(planned.clients) + ' clients'),
    card('open', number(connections.open), connections.withoutPath + ' without a path', connections.withoutPath > 0 ? 'bad' : ''),
    card('arrived a second', number(status.messagesPerSecond), number(status.sentPerSecond) + ' sent · ' + amount(status.bytesPerSecond) + '/s'),
    card('p99, last second', ms(p99[1]) + (p99[1] !== null && p99[1] < 1000 ? ' ms' : ''), ms(p99[2]) + ' so far'),
    card('damage', bad ? 'damaged' : 'none', view.damage, bad ? 'bad' : 'good'),
    card('fail-overs', number(status.failovers), 'generator ' + number(view.cpu, 2) + ' cores, loop p99 ' + ms(view.loopDelayP99Ms) + ' ms'),
  )
  table($('latency'), 'Response times from the intended time', [[''], ['last second', 'n'], ['so far', 'n']], view.latencies.map(([name, last, all]) => [name, ms(last), ms(all)]))
  table($('states'), 'Clients and connections by state', [[''], ['clients', 'n'], ['connections', 'n']], [
    ['waiting', number(clients.planned), number(connections.planned)],
    ['attached, open', number(clients.attached), number(connections.open)],
    ['without a path', '', number(connections.withoutPath)],
    ['refused, failed', number(clients.rejected), number(connections.failed)],
    ['broken', '', number(connections.broken)],
    ['left, closed', number(clients.detached), number(connections.closed)],
  ])
  table($('relays'), 'Health of the relays', [['relay'], ['state'], ['cores', 'n'], ['memory', 'n'], ['share', 'n']], view.relays.map((relay) => [
    relay.relay, [relay.state, relay.state === 'down' || relay.state === 'paused' ? 'bad' : ''], number(relay.cpu, 2), amount(relay.rssBytes), relay.share === null ? '–' : Math.round(relay.share * 100) + ' %',
  ]))
  if (view.limits.length === 0) $('limits').replaceChildren(make('p', 'The plan has none.', 'soft'))
  else table($('limits'), 'Limits so far', [['limit'], ['asks for'], ['measured', 'n'], ['']], view.limits.map((one) => [
    one.limit, one.metric + ' ' + one.stat + ' ' + one.op + ' ' + number(one.value, 3) + ' ' + one.unit + (one.window === 'run' ? '' : ', ' + one.window), number(one.measured, 2),
    [one.state === 'open' ? 'open' : one.state, one.state === 'broken' ? 'bad' : one.state === 'held' ? 'good' : ''],
  ]))
  table($('faults'), 'Faults now and next', [['when'], ['what']], [
    ...(status.faults.length === 0 ? [['now', 'none']] : status.faults.map((fault) => ['now', [fault, 'bad']])),
    ...status.next.map((one) => [seconds(one.atMs), one.fault + ' ' + one.action + ' ' + one.target]),
  ])
  chart('rate', [[(point) => point.sent, 'line2'], [(point) => point.arrived, 'line1']], (last, top) => number(last.arrived) + ' arrived (blue) and ' + number(last.sent) + ' sent (orange) in the last second; most ' + number(top) + '. Faults are shaded.')
  chart('lat', [[(point) => point.p99Ms, 'line2'], [(point) => point.p50Ms, 'line1']], (last, top) => 'median ' + ms(last.p50Ms) + ' ms (blue), p99 ' + ms(last.p99Ms) + ' ms (orange) in the last second; most ' + ms(top) + ' ms. Faults are shaded.')
}

async function act(what) {
  try {
    const answer = await fetch('act', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(what) })
    $('said').textContent = (await answer.json()).text
  } catch {
    $('said').textContent = 'the run did not answer'
  }
}

$('ramp').addEventListener('click', () => act({ do: paused ? 'resume' : 'pause' }))
let sure = false
$('stop').addEventListener('click', () => {
  if (!sure) {
    sure = true
    $('stop').textContent = 'Really stop?'
    $('said').textContent = 'press again to stop the run in good order'
    setTimeout(() => { sure = false; $('stop').textContent = 'Stop the run' }, 5000)
    return
  }
  act({ do: 'stop' })
})

function allow(yes) {
  for (const button of document.querySelectorAll('button')) button.disabled = !yes
}

const events = new EventSource('events')
events.addEventListener('begin', (event) => {
  const { points: old, drills } = JSON.parse(event.data)
  points = old
  $('lost').hidden = true
  $('inject').replaceChildren(...(drills.length === 0 ? [make('p', 'The sheet Faults has no rows.', 'soft')] : drills.map((drill) => {
    const button = make('button', drill.fault + ': ' + drill.action + ' ' + drill.target)
    button.type = 'button'
    button.addEventListener('click', () => act({ do: 'inject', fault: drill.fault }))
    return button
  })))
  allow(!over)
})
events.addEventListener('message', (event) => {
  const told = JSON.parse(event.data)
  points.push(...told.points)
  if (points.length > 600) points = points.slice(-600)
  draw(told)
})
events.addEventListener('over', (event) => {
  const { verdict, exitCode, reasons } = JSON.parse(event.data)
  over = true
  events.close()
  allow(false)
  const place = $('over')
  place.hidden = false
  place.classList.add(verdict)
  const list = make('ul')
  for (const reason of reasons) list.append(make('li', reason))
  place.replaceChildren(make('strong', verdict), make('span', ' exit code ' + exitCode, 'soft'), list)
})
events.addEventListener('error', () => {
  if (!over) {
    $('lost').hidden = false
    allow(false)
  }
})
`
