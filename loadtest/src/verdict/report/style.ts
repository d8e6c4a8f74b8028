// The look of the report: one style sheet inside the page, light and dark by the reader's own choice, and on paper.

const light = `
  --paper: #f7f7f4; --card: #ffffff; --ink: #1c2430; --soft: #5d6876; --line: #e2e4e0; --grid: #eceee9;
  --c1: #1f6feb; --c2: #d9822b; --c3: #b3261e; --c4: #2f8f6b;
  --pass: #1a7f4b; --fail: #b3261e; --open: #9a6700; --pass-soft: #e3f4ea; --fail-soft: #fbe9e7; --open-soft: #fdf3d8;
  --kill: #d64545; --freeze: #4a7fd4; --move: #8a5fc7; --net: #c98a1b; --hover: rgba(28,36,48,.06);`

const dark = `
  --paper: #11151b; --card: #191f27; --ink: #e6e9ee; --soft: #98a3b1; --line: #2b333e; --grid: #242b35;
  --c1: #6ea8fe; --c2: #f0a858; --c3: #ff6b8b; --c4: #63c99b;
  --pass: #63c99b; --fail: #ff8a80; --open: #e7c15c; --pass-soft: #16301f; --fail-soft: #3a1c1b; --open-soft: #352b12;
  --kill: #ff6b6b; --freeze: #7aa8f5; --move: #b595ec; --net: #e5b052; --hover: rgba(230,233,238,.08);`

export const style: string = `
:root { color-scheme: light dark; ${light} }
@media (prefers-color-scheme: dark) { :root { ${dark} } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 24px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 40px 0 12px; letter-spacing: -.005em; }
h3 { font-size: 14px; margin: 0; font-weight: 600; }
p { margin: 6px 0; }
.soft { color: var(--soft); }
.small { font-size: 13px; }
header { display: flex; gap: 16px 24px; align-items: flex-start; justify-content: space-between; flex-wrap: wrap; }
.verdict { border-radius: 12px; padding: 18px 22px; margin: 20px 0 0; border-left: 6px solid var(--open); background: var(--open-soft); }
.verdict.pass { border-color: var(--pass); background: var(--pass-soft); }
.verdict.fail { border-color: var(--fail); background: var(--fail-soft); }
.verdict strong { font-size: 20px; text-transform: uppercase; letter-spacing: .04em; color: var(--open); }
.verdict.pass strong { color: var(--pass); } .verdict.fail strong { color: var(--fail); }
.verdict ul { margin: 8px 0 0; padding-left: 20px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 16px 0 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 12px 16px; }
.card b { display: block; font-size: 22px; font-weight: 650; letter-spacing: -.01em; font-variant-numeric: tabular-nums; white-space: nowrap; }
.card span { color: var(--soft); font-size: 13px; }
.card em { display: block; font-style: normal; font-size: 12.5px; color: var(--soft); font-variant-numeric: tabular-nums; }
.card.good b { color: var(--pass); } .card.bad b { color: var(--fail); }
.chart { margin: 0 0 14px; background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px 8px; break-inside: avoid; }
.chart figcaption { display: flex; justify-content: space-between; gap: 8px 20px; flex-wrap: wrap; margin-bottom: 6px; }
.chart svg { display: block; width: 100%; height: auto; font: 11.5px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
.legend { display: flex; gap: 14px; flex-wrap: wrap; font-size: 12.5px; color: var(--soft); }
.key::before { content: ""; display: inline-block; width: 14px; height: 3px; border-radius: 2px; margin-right: 6px; vertical-align: middle; background: var(--soft); }
.key.s1::before { background: var(--c1); } .key.s2::before { background: var(--c2); } .key.s3::before { background: var(--c3); } .key.s4::before { background: var(--c4); }
.key.limit::before { height: 0; border-top: 2px dashed var(--soft); background: none; }
.tick { fill: var(--soft); font-variant-numeric: tabular-nums; } .name { fill: var(--soft); } .strong { fill: var(--ink); font-weight: 600; }
.halo { paint-order: stroke; stroke: var(--card); stroke-width: 4px; stroke-linejoin: round; }
.grid { stroke: var(--grid); } .axis { stroke: var(--line); }
.limit { stroke: var(--soft); stroke-dasharray: 5 4; stroke-width: 1.5; }
.line { fill: none; stroke-width: 1.7; stroke-linejoin: round; } .fill { opacity: .14; }
.line.s1 { stroke: var(--c1); } .line.s2 { stroke: var(--c2); } .line.s3 { stroke: var(--c3); } .line.s4 { stroke: var(--c4); }
.fill.s1, .bar.s1 { fill: var(--c1); } .fill.s2, .bar.s2 { fill: var(--c2); } .fill.s4 { fill: var(--c4); } .mark.s3 { stroke: var(--c3); stroke-width: 2.5; }
.warmup { fill: var(--soft); opacity: .07; }
.shade { --f: var(--net); } .shade.kill, .shade.term { --f: var(--kill); } .shade.pause, .shade.blackhole, .shade.one_way { --f: var(--freeze); } .shade.restart, .shade.rolling_restart { --f: var(--move); }
.shade rect { fill: var(--f); opacity: .17; } .shade line { stroke: var(--f); stroke-width: 1.5; }
.fault { fill: var(--net); font-weight: 600; } .fault.kill, .fault.term { fill: var(--kill); } .fault.pause, .fault.blackhole, .fault.one_way { fill: var(--freeze); } .fault.restart, .fault.rolling_restart { fill: var(--move); }
.phase line { stroke: var(--soft); stroke-dasharray: 2 4; } .phase text { fill: var(--soft); font-weight: 600; }
.hover { fill: transparent; } .hover:hover { fill: var(--hover); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
caption { text-align: left; padding: 10px 14px 4px; color: var(--soft); font-size: 13px; }
th, td { padding: 7px 11px; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--soft); font-weight: 600; font-size: 12.5px; vertical-align: bottom; }
tbody tr:hover { background: var(--hover); }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.wrap { overflow-wrap: anywhere; min-width: 180px; }
.badge { display: inline-block; padding: 1px 9px; border-radius: 99px; font-size: 12px; font-weight: 650; white-space: nowrap; color: var(--open); background: var(--open-soft); }
.badge.good { color: var(--pass); background: var(--pass-soft); } .badge.bad { color: var(--fail); background: var(--fail-soft); }
details { margin: 12px 0; } summary { cursor: pointer; font-weight: 600; padding: 6px 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 0; font-size: 13.5px; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 14px; }
.box { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 18px; }
a { color: inherit; text-decoration-color: var(--soft); text-underline-offset: 2px; } a:hover { text-decoration-color: currentColor; } :focus-visible { outline: 2px solid var(--c1); outline-offset: 2px; }
svg a { text-decoration: none; cursor: pointer; } svg a:hover text, svg a:focus-visible text { text-decoration: underline; }
.act { display: none; margin: 14px 0; scroll-margin-top: 16px; } .act:target { display: block; border-color: var(--c1); } .act h3 { margin-bottom: 8px; } .act .scroll { margin-top: 10px; }
code { font: 12.5px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media print {
  :root { ${light} --paper: #ffffff; }
  main { max-width: none; padding: 0; } .scroll { overflow: visible; } table { font-size: 10.5px; } th, td { padding: 4px 6px; }
  .act { display: block; break-inside: avoid-page; } .act tbody tr:nth-child(n+21) { display: none; } .screen { display: none; }
  details::details-content { content-visibility: visible; display: block; block-size: auto; }
  body { font-size: 12px; print-color-adjust: exact; -webkit-print-color-adjust: exact; } h2 { break-after: avoid; } tr { break-inside: avoid; }
}`
