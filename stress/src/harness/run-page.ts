/**
 * The page that shows a run: one file with all it needs in it, so that it can be sent, kept and opened anywhere. What can
 * be said in text is text here, and stands there without a script; the charts are drawn by page/report.ts.
 */
import { thousands } from '../report.ts'
import type { LatencyRow, ProcessTotals, RunData, RunEvent } from './run-data.ts'
import { eventsOf } from './run-verdicts.ts'

export interface PageParts {
  /** Chart.js, as a script that makes `Chart`. */
  readonly library: string
  readonly style: string
  /** Of page/report.ts, as a module. */
  readonly script: string
}

interface Tile {
  readonly name: string
  readonly value: number
  readonly text: string
  readonly note: string
}

interface Panel {
  readonly id: string
  readonly title: string
  readonly note: string
}

const PANELS: readonly Panel[] = [
  {
    id: 'throughput',
    title: 'Operations acknowledged per second',
    note: 'Inserts, updates and deletes, each durable when it is counted.',
  },
  {
    id: 'latency',
    title: 'How long an acknowledgement took',
    note: 'Percentiles of each second, from the call to the durable commit.',
  },
  {
    id: 'groups',
    title: 'Group commit',
    note: 'How many commits share one sync, and how long a sync takes.',
  },
  {
    id: 'turns',
    title: 'Hand-overs of the writer lock',
    note: 'How often processes took the turn to write over from each other, and how long they waited for it.',
  },
  {
    id: 'waits',
    title: 'Longest wait of each process',
    note: 'Time without any acknowledgement: a hand-over of the writer lock, a slow sync, a kill.',
  },
  {
    id: 'reads',
    title: 'Reads verified per second',
    note: 'Each document is what its writer says it must be.',
  },
  { id: 'memory', title: 'Memory', note: 'Resident, of each process, shared pages included.' },
  { id: 'files', title: 'Files', note: 'The database, and the log since its last checkpoint.' },
]

const EVENTS_OPEN_MAX = 12
/** Latency bars are on a logarithmic scale that begins here. */
const BAR_FROM_MS = 0.01

export function pageOf(data: RunData, { library, style, script }: PageParts): string {
  const title = `Ringbolt harness, seed ${data.run.seed}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
${headerOf(data)}
${verdictsOf(data)}
<section class="tiles" aria-label="Totals">
${tilesOf(data).map(tileOf).join('\n')}
</section>
<section class="charts" aria-label="Over time">
<p class="key">${keyOf(data.events)}</p>
${PANELS.map(panelOf).join('\n')}
</section>
<section class="tables">
${latencyTableOf(data.latencyMs)}
${processTableOf(data.processes)}
${eventTableOf(data.events)}
</section>
${footerOf(data)}
</main>
<script type="application/json" id="data">${embedded(data)}</script>
<script>${library}</script>
<script type="module">${script}</script>
</body>
</html>
`
}

/** As JSON that cannot end the element it stands in. */
function embedded(data: RunData): string {
  return JSON.stringify(data).replaceAll('<', String.raw`\u003c`)
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** The exact value for programs, a readable one for people. */
function figure(value: number, text: string = readable(value)): string {
  return `<data value="${value}">${escaped(text)}</data>`
}

function readable(value: number): string {
  if (Math.abs(value) >= 100 || Number.isInteger(value)) return thousands(value)
  return value.toLocaleString('en-GB', { maximumSignificantDigits: 3 })
}

/** A number that has to fit into a tile. */
function short(value: number): string {
  if (value < 10_000) return readable(value)
  return value.toLocaleString('en-US', { notation: 'compact', maximumSignificantDigits: 3 })
}

function headerOf({ run }: RunData): string {
  const began = run.startedAt.replace('T', ' ').replace(/\.\d+Z$/, ' UTC')
  return `<header>
<p class="brand"><span class="bolt" aria-hidden="true"></span>Ringbolt <span>harness</span></p>
<p class="facts">${escaped(began)} · ${durationOf(run.seconds)} · Node ${escaped(run.node)} · ${run.cpus} cores · seed ${run.seed}</p>
<p class="what">${escaped(run.description)}</p>
</header>`
}

function durationOf(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(0)} s`
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}

function verdictsOf({ proved, verdicts, findings, run }: RunData): string {
  const failed = verdicts.filter(({ ok }) => !ok).length
  const headline = proved ? 'All is proved' : 'Not proved'
  const detail = proved
    ? `${verdicts.length} of ${verdicts.length} verdicts hold`
    : `${failed} of ${verdicts.length} verdicts fail, ${findings.length} findings`
  const list = verdicts.map(
    ({ ok, name, detail }) =>
      `<li class="${ok ? 'ok' : 'fail'}"><strong>${escaped(name)}</strong><span>${escaped(detail)}</span></li>`,
  )
  const found =
    findings.length === 0
      ? ''
      : `<div class="findings"><h2>Findings</h2><ol>${findings.map((finding) => `<li>${escaped(finding)}</li>`).join('')}</ol>
<p>To run it again: <code>${escaped(run.replay)}</code></p></div>`
  return `<section class="verdicts ${proved ? 'proved' : 'unproved'}">
<h1><span class="seal" aria-hidden="true">${proved ? '✓' : '✕'}</span>${headline}<small>${detail}</small></h1>
<ul>${list.join('\n')}</ul>
${found}
</section>`
}

function tilesOf({ totals, latencyMs, run }: RunData): Tile[] {
  const ms = (percentile: number): number =>
    latencyMs.find((row) => row.percentile === percentile)?.ms ?? 0
  const tile = (name: string, value: number, note: string): Tile => ({
    name,
    value,
    text: short(value),
    note,
  })
  const shown = [
    tile('operations', totals.operations, 'operations acknowledged'),
    tile('operationsPerS', totals.operationsPerS, 'a second, kills and restarts included'),
    { ...tile('p50', ms(50), 'median acknowledgement'), text: `${readable(ms(50))} ms` },
    { ...tile('p99', ms(99), '99th percentile'), text: `${readable(ms(99))} ms` },
    tile('commitsPerSync', totals.commitsPerSync, 'commits share a sync'),
    tile('workersKilled', totals.workersKilled, 'workers killed'),
    tile('processesKilled', totals.processesKilled, 'processes killed by SIGKILL'),
    tile(
      'freshnessChecks',
      totals.freshnessChecks,
      run.processes === 1 ? 'reads of other threads’ writes' : 'reads of other processes’ writes',
    ),
    tile('documentsCompared', totals.documentsCompared, 'documents compared at the end'),
  ]
  const tenth =
    totals.backups === 0
      ? tile('reads', totals.reads, 'documents read and verified meanwhile')
      : tile('backups', totals.backups, 'hot backups opened and checked')
  return [...shown, tenth]
}

function tileOf({ name, value, text, note }: Tile): string {
  return `<div class="tile" data-name="${name}"><p>${figure(value, text)}</p><span>${escaped(note)}</span></div>`
}

function keyOf(events: readonly RunEvent[]): string {
  const entries = [
    ['worker', 'a worker is killed', eventsOf(events, 'worker-killed').length],
    [
      'process',
      'a process is killed, until another is back',
      eventsOf(events, 'process-killed').length,
    ],
    ['backup', 'a hot backup is taken', eventsOf(events, 'backup').length],
  ] as const
  return entries
    .filter(([, , count]) => count > 0)
    .map(([kind, text]) => `<span class="mark ${kind}">${text}</span>`)
    .join('')
}

function panelOf({ id, title, note }: Panel): string {
  return `<figure id="panel-${id}"><figcaption><strong>${title}</strong><span>${note}</span></figcaption>
<div class="canvas"><canvas id="${id}" role="img" aria-label="${title}"></canvas></div></figure>`
}

function table(
  caption: string,
  head: readonly string[],
  rows: readonly string[],
  id: string,
): string {
  const heads = head.map((name) => `<th scope="col">${name}</th>`).join('')
  const top = head.length === 0 ? '' : `<thead><tr>${heads}</tr></thead>`
  const title = caption === '' ? '' : `<caption>${caption}</caption>`
  return `<div class="table"><table id="${id}">${title}${top}<tbody>${rows.join('\n')}</tbody></table></div>`
}

function latencyTableOf(rows: readonly LatencyRow[]): string {
  const longest = Math.max(BAR_FROM_MS * 10, ...rows.map(({ ms }) => ms))
  const share = (ms: number): number =>
    Math.max(1, (100 * Math.log(ms / BAR_FROM_MS)) / Math.log(longest / BAR_FROM_MS))
  const lines = rows.map(
    ({ percentile, ms }) =>
      `<tr><th scope="row">${percentile === 100 ? 'longest' : `p${percentile}`}</th><td class="bar"><i style="width:${share(Math.max(ms, BAR_FROM_MS)).toFixed(1)}%"></i></td><td>${figure(ms)} ms</td></tr>`,
  )
  return table('Acknowledgements', ['', 'logarithmic', ''], lines, 'latency-table')
}

function processTableOf(processes: readonly ProcessTotals[]): string {
  const lines = processes.map(
    (one) =>
      `<tr><th scope="row">${one.process}</th><td>${figure(one.starts)}</td><td>${figure(one.operations, thousands(one.operations))}</td><td>${figure(one.freshnessChecks, thousands(one.freshnessChecks))}</td><td>${figure(one.longestSilenceMs)} ms</td><td>${figure(one.rssMaxMiB)} MiB</td></tr>`,
  )
  const head = ['', 'starts', 'operations', 'reads of others', 'longest wait', 'memory, most']
  return table('Processes', head, lines, 'process-table')
}

function eventTableOf(events: readonly RunEvent[]): string {
  if (events.length === 0) return ''
  const lines = events.map(
    (event) =>
      `<tr class="${event.kind}"><td>${figure(event.atS, event.atS.toFixed(1))} s</td><th scope="row">process ${event.process}</th><td>${escaped(describe(event))}</td></tr>`,
  )
  const inner = table('', [], lines, 'event-table')
  const open = events.length <= EVENTS_OPEN_MAX ? ' open' : ''
  return `<details${open}><summary>What was done to it <small>${events.length} events</small></summary>${inner}</details>`
}

function describe(event: RunEvent): string {
  switch (event.kind) {
    case 'worker-killed':
      return `worker killed (${event.how}): its thread was gone after ${event.detectedMs.toFixed(1)} ms, the others went on ${event.progressMs.toFixed(1)} ms later`
    case 'process-killed':
      return `SIGKILL, pid ${event.pid}`
    case 'process-back':
      return `back at work ${(event.afterMs / 1000).toFixed(2)} s after its start, of which ${event.openMs.toFixed(0)} ms to open and recover`
    case 'backup':
      return backupText(event)
  }
}

function backupText({
  seconds,
  bytes,
  documents,
  sound,
}: Extract<RunEvent, { kind: 'backup' }>): string {
  const taken = `hot backup, ${(bytes / 2 ** 20).toFixed(1)} MiB in ${seconds.toFixed(2)} s`
  if (sound === null) return 'hot backup, ended with its process'
  return sound
    ? `${taken}: sound, ${thousands(documents)} documents compared`
    : `${taken}: NOT sound`
}

function footerOf({ run }: RunData): string {
  return `<footer><p>The same again: <code>${escaped(run.replay)}</code></p>
<p>Charts by Chart.js, MIT licence. The figures as JSON are in this page and beside it.</p></footer>`
}
