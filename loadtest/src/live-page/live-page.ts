// The live page itself: one file, no network but its own stream, light and dark by the reader's own choice.
import { createHash } from 'node:crypto'
import type { Plan } from '../plan.ts'
import { html } from '../verdict/report/format.ts'
import { style } from '../verdict/report/style.ts'
import { pageScript } from './page-script.ts'

const more = `
main { max-width: 1180px; }
.bar { display: flex; gap: 10px; flex-wrap: wrap; align-items: center; margin: 16px 0 0; }
button { font: inherit; padding: 7px 14px; border-radius: 9px; border: 1px solid var(--line); background: var(--card); color: var(--ink); cursor: pointer; }
button:hover:enabled { background: var(--hover); } button:disabled { opacity: .5; cursor: default; }
button.stop { border-color: var(--fail); color: var(--fail); }
button:focus-visible { outline: 3px solid var(--c1); outline-offset: 2px; }
progress { width: 100%; height: 10px; margin: 12px 0 0; accent-color: var(--c1); }
#said { min-height: 1.5em; color: var(--soft); margin: 8px 0 0; }
.live { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 14px; margin-top: 14px; }
.live > section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 12px 16px; overflow-x: auto; }
.live h2 { margin: 0 0 6px; font-size: 15px; }
.live table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
.live th { text-align: left; font-weight: 500; color: var(--soft); padding: 3px 8px 3px 0; } .live td { padding: 3px 8px 3px 0; }
.live td.n, .live th.n { text-align: right; }
.live .wide { grid-column: 1 / -1; }
@media (min-width: 760px) { .live .broad { grid-column: span 2; } }
.live svg { display: block; width: 100%; height: 130px; }
.line1 { fill: none; stroke: var(--c1); stroke-width: 2; vector-effect: non-scaling-stroke; }
.line2 { fill: none; stroke: var(--c2); stroke-width: 2; vector-effect: non-scaling-stroke; }
.shaded { fill: var(--kill); opacity: .14; }
.bad { color: var(--fail); font-weight: 600; } .good { color: var(--pass); }
.inject { display: flex; gap: 8px; flex-wrap: wrap; }
.lost { border: 1px solid var(--fail); color: var(--fail); border-radius: 9px; padding: 8px 12px; margin-top: 12px; }
[hidden] { display: none !important; }`

const styles = style + more
const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
const policy = `default-src 'none'; style-src ${hash(styles)}; script-src ${hash(pageScript)}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** The page, and what it may do as its policy says it. */
export function livePage({ name, clients, flows, run, relays }: Plan): { readonly html: string; readonly policy: string } {
  return {
    policy,
    html: `<!doctype html>
<html lang="en" data-clients="${clients.length}" data-connections="${flows.length}" data-duration="${run.durationMs}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>${html(name)}: live</title>
<style>${styles}</style>
</head>
<body>
<main>
<header><div><p class="soft small">Sennit test, live</p><h1>${html(name)}</h1>
<p class="soft">${clients.length} clients · ${flows.length} connections · ${relays.length} relays</p></div>
<div class="small soft"><p id="stage">waits for the run</p></div></header>
<progress id="progress" max="${run.durationMs}" value="0" aria-label="time of the load"></progress>
<div class="bar" role="group" aria-label="what you can do">
<button id="ramp" type="button" disabled>Pause the ramp</button>
<button id="stop" type="button" class="stop" disabled>Stop the run</button>
</div>
<p id="said" role="status" aria-live="polite"></p>
<p id="lost" class="lost" role="alert" hidden>The run does not answer. This page looks again by itself.</p>
<section id="over" class="verdict" aria-label="verdict" hidden></section>
<section class="cards" id="cards" aria-label="key figures"></section>
<div class="live">
<section class="wide" aria-labelledby="h-rate"><h2 id="h-rate">Messages a second</h2><svg id="rate" role="img" aria-labelledby="h-rate rate-text" viewBox="0 0 600 130" preserveAspectRatio="none"></svg><p class="small soft" id="rate-text"></p></section>
<section class="wide" aria-labelledby="h-lat"><h2 id="h-lat">Response time, median and p99</h2><svg id="lat" role="img" aria-labelledby="h-lat lat-text" viewBox="0 0 600 130" preserveAspectRatio="none"></svg><p class="small soft" id="lat-text"></p></section>
<section aria-labelledby="h-latency"><h2 id="h-latency">Latency, ms</h2><div id="latency"></div></section>
<section aria-labelledby="h-states"><h2 id="h-states">Clients and connections</h2><div id="states"></div></section>
<section aria-labelledby="h-relays"><h2 id="h-relays">Relays</h2><div id="relays"></div></section>
<section class="broad" aria-labelledby="h-limits"><h2 id="h-limits">Limits so far</h2><div id="limits"></div></section>
<section aria-labelledby="h-faults"><h2 id="h-faults">Faults</h2><div id="faults"></div></section>
<section aria-labelledby="h-inject"><h2 id="h-inject">Begin a fault now</h2><div id="inject" class="inject"></div></section>
</div>
</main>
<script>${pageScript}</script>
</body>
</html>
`,
  }
}
