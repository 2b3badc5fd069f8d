/** Draws the charts of a run's page, from the figures in it. Runs in a browser; `Chart` is Chart.js, before it. */
import type {
  Chart as ChartClass,
  ChartDataset,
  ChartOptions,
  Plugin,
  ScriptableContext,
} from 'chart.js'
import type { RunData, RunEvent } from '../dist/harness/run-data.js'

declare const Chart: typeof ChartClass

type Values = readonly (number | null)[]
type LineDataset = ChartDataset<'line', (number | null)[]>

interface Series {
  readonly label: string
  readonly values: Values
  /** A custom property of the style sheet. */
  readonly colour: string
  readonly fill?: boolean
  readonly axis?: 'y' | 'y2'
}

interface ChartSpec {
  readonly id: string
  readonly series: readonly Series[]
  readonly unit: string
  readonly unit2?: string
  readonly logarithmic?: boolean
  readonly stacked?: boolean
}

interface Mark {
  readonly kind: 'worker' | 'process' | 'backup'
  readonly fromS: number
  readonly toS: number
}

const PROCESS_COLOURS = ['--c1', '--c2', '--c3', '--c4', '--c5', '--c6']

const data: RunData = JSON.parse(document.getElementById('data')?.textContent ?? '')
const { samples } = data
const marks = marksOf(data.events)
const charts: ChartClass<'line', (number | null)[]>[] = []
/** Where the pointer is, in seconds of the run; all charts show it. */
let pointedS: number | undefined

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

/** A killed process's mark lasts until another has taken its place. */
function marksOf(events: readonly RunEvent[]): Mark[] {
  return events.flatMap((event, at): Mark[] => {
    const { atS } = event
    switch (event.kind) {
      case 'worker-killed':
        return [{ kind: 'worker', fromS: atS, toS: atS }]
      case 'process-killed': {
        const back = events
          .slice(at)
          .find(({ kind, process }) => kind === 'process-back' && process === event.process)
        return [{ kind: 'process', fromS: atS, toS: back?.atS ?? atS }]
      }
      case 'backup':
        return [{ kind: 'backup', fromS: atS, toS: atS + event.seconds }]
      case 'process-back':
        return []
    }
  })
}

const marksPlugin: Plugin<'line'> = {
  id: 'marks',
  beforeDatasetsDraw(chart) {
    const { ctx, chartArea, scales } = chart
    const x = scales['x']
    if (x === undefined) return
    ctx.save()
    ctx.beginPath()
    ctx.rect(chartArea.left, chartArea.top, chartArea.width, chartArea.height)
    ctx.clip()
    for (const { kind, fromS, toS } of marks) {
      const [from, to] = [x.getPixelForValue(fromS), x.getPixelForValue(toS)]
      if (kind !== 'worker') {
        ctx.globalAlpha = 0.14
        ctx.fillStyle = colour(`--mark-${kind}`)
        ctx.fillRect(from, chartArea.top, Math.max(1, to - from), chartArea.height)
      }
      ctx.globalAlpha = 0.85
      ctx.strokeStyle = colour(`--mark-${kind}`)
      ctx.setLineDash(kind === 'worker' ? [3, 3] : [])
      line(ctx, from, chartArea.top, chartArea.bottom)
    }
    ctx.restore()
  },
  afterDatasetsDraw({ ctx, chartArea, scales }) {
    const x = scales['x']
    if (x === undefined || pointedS === undefined) return
    ctx.save()
    ctx.strokeStyle = colour('--muted')
    line(ctx, x.getPixelForValue(pointedS), chartArea.top, chartArea.bottom)
    ctx.restore()
  },
  afterEvent(chart, { event }) {
    const x = chart.scales['x']
    if (x === undefined || (event.type !== 'mousemove' && event.type !== 'mouseout')) return
    const inside = event.type === 'mousemove' && event.x !== null
    pointedS = inside ? x.getValueForPixel(event.x ?? 0) : undefined
    for (const other of charts) if (other !== chart) other.draw()
  },
}

function line(ctx: CanvasRenderingContext2D, x: number, top: number, bottom: number): void {
  ctx.lineWidth = 1
  ctx.beginPath()
  ctx.moveTo(x, top)
  ctx.lineTo(x, bottom)
  ctx.stroke()
}

function clock(seconds: number): string {
  if (data.run.seconds <= 180) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  const rest = String(Math.round(seconds % 60)).padStart(2, '0')
  if (data.run.seconds <= 7200) return `${minutes}:${rest}`
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')} h`
}

function short(value: number): string {
  return value.toLocaleString('en-US', { notation: 'compact', maximumSignificantDigits: 3 })
}

/** On a logarithmic axis those that one reads at a glance. */
function tickText(value: number, { logarithmic }: ChartSpec, unit: string): string | null {
  const mantissa = value / 10 ** Math.floor(Math.log10(value))
  if (logarithmic === true && ![1, 2, 5].some((one) => Math.abs(mantissa - one) < 1e-9)) return null
  return `${short(value)}${unit}`
}

function datasetOf({ label, values, colour: name, fill, axis }: Series): LineDataset {
  const many = samples.atS.length > 60
  const own = colour(name)
  const area = ({ chart }: ScriptableContext<'line'>): CanvasGradient | string => {
    const { chartArea, ctx } = chart
    // Before the first layout there is no area yet.
    if (chartArea === undefined) return 'transparent'
    const gradient = ctx.createLinearGradient(0, chartArea.top, 0, chartArea.bottom)
    gradient.addColorStop(0, `${own}66`)
    gradient.addColorStop(1, `${own}0d`)
    return gradient
  }
  return {
    label,
    data: [...values],
    yAxisID: axis ?? 'y',
    borderColor: own,
    backgroundColor: fill === true ? area : own,
    fill: fill === true ? 'stack' : false,
    borderWidth: many ? 1.5 : 2,
    // A point that stands alone has no line to be seen by.
    pointRadius: values.map((_, at) =>
      (values[at - 1] ?? values[at + 1] ?? null) === null ? 2 : 0,
    ),
    pointHitRadius: 8,
    pointHoverRadius: 4,
    cubicInterpolationMode: 'monotone',
  }
}

function optionsOf(spec: ChartSpec): ChartOptions<'line'> {
  const text = colour('--muted')
  const grid = colour('--grid')
  const font = { family: getComputedStyle(document.body).fontFamily, size: 11 }
  const axis = (unit: string) => ({
    ticks: {
      color: text,
      font,
      maxTicksLimit: spec.logarithmic === true ? 12 : 6,
      callback: (value: number | string) => tickText(Number(value), spec, unit),
    },
    border: { display: false },
  })
  return {
    animation: false,
    responsive: true,
    maintainAspectRatio: false,
    interaction: { mode: 'index', intersect: false },
    scales: {
      x: {
        type: 'linear',
        min: 0,
        max: Math.max(data.run.seconds, samples.atS.at(-1) ?? 1),
        grid: { display: false },
        border: { color: grid },
        ticks: {
          color: text,
          font,
          maxRotation: 0,
          includeBounds: false,
          autoSkipPadding: 16,
          callback: (value) => clock(Number(value)),
        },
      },
      y: {
        ...axis(spec.unit),
        type: spec.logarithmic === true ? 'logarithmic' : 'linear',
        stacked: spec.stacked ?? false,
        beginAtZero: true,
        grid: { color: grid },
      },
      ...(spec.unit2 === undefined
        ? {}
        : {
            y2: {
              ...axis(spec.unit2),
              position: 'right',
              beginAtZero: true,
              grid: { display: false },
            },
          }),
    },
    plugins: {
      legend: {
        display: spec.series.length > 1,
        align: 'end',
        labels: { color: text, font, boxWidth: 10, boxHeight: 3, padding: 10 },
      },
      tooltip: {
        callbacks: {
          title: ([item]) => (item === undefined ? '' : clock(Math.round(Number(item.parsed.x)))),
          label: ({ dataset, parsed }) => {
            const unit = dataset.yAxisID === 'y2' ? spec.unit2 : spec.unit
            const value = Number(parsed.y).toLocaleString('en-GB', { maximumSignificantDigits: 4 })
            return ` ${dataset.label}: ${value}${unit}`
          },
        },
      },
    },
  }
}

function draw(spec: ChartSpec): void {
  const canvas = document.getElementById(spec.id)
  if (!(canvas instanceof HTMLCanvasElement)) return
  const chart = new Chart<'line', (number | null)[]>(canvas, {
    type: 'line',
    data: { labels: [...samples.atS], datasets: spec.series.map(datasetOf) },
    options: optionsOf(spec),
    plugins: [marksPlugin],
  })
  charts.push(chart)
}

function byProcess(of: 'operationsPerS' | 'silenceMs' | 'rssMiB', fill: boolean): Series[] {
  return samples.byProcess.map((process, at) => ({
    label: `process ${at}`,
    values: process[of],
    colour: PROCESS_COLOURS[at % PROCESS_COLOURS.length] ?? '--c1',
    fill,
  }))
}

const specs: readonly ChartSpec[] = [
  { id: 'throughput', series: byProcess('operationsPerS', true), unit: '/s', stacked: true },
  {
    id: 'latency',
    unit: ' ms',
    logarithmic: true,
    series: [
      { label: 'p99.9', values: samples.p999Ms, colour: '--l4' },
      { label: 'p99', values: samples.p99Ms, colour: '--l3' },
      { label: 'p90', values: samples.p90Ms, colour: '--l2' },
      { label: 'p50', values: samples.p50Ms, colour: '--l1' },
    ],
  },
  {
    id: 'groups',
    unit: '',
    unit2: ' ms',
    series: [
      { label: 'commits per sync', values: samples.commitsPerSync, colour: '--c1', fill: true },
      { label: 'a sync, mean (right)', values: samples.syncMs, colour: '--c2', axis: 'y2' },
    ],
  },
  {
    id: 'turns',
    unit: '/s',
    unit2: ' ms',
    series: [
      { label: 'hand-overs', values: samples.turnsPerS, colour: '--c3', fill: true },
      { label: 'a wait, mean (right)', values: samples.turnWaitMs, colour: '--c4', axis: 'y2' },
    ],
  },
  { id: 'waits', series: byProcess('silenceMs', false), unit: ' ms' },
  {
    id: 'reads',
    unit: '/s',
    unit2: '/s',
    series: [
      {
        label: 'after own writes, and around',
        values: samples.readsPerS,
        colour: '--c3',
        fill: true,
      },
      {
        label: 'of others’ writes (right)',
        values: samples.freshnessChecksPerS,
        colour: '--c4',
        axis: 'y2',
      },
    ],
  },
  { id: 'memory', series: byProcess('rssMiB', false), unit: ' MiB' },
  {
    id: 'files',
    unit: ' MiB',
    series: [
      { label: 'database', values: samples.fileMiB, colour: '--c1', fill: true },
      { label: 'log', values: samples.logMiB, colour: '--c2' },
    ],
  },
]

function drawAll(): void {
  for (const chart of charts.splice(0)) chart.destroy()
  for (const spec of specs) draw(spec)
  document.documentElement.dataset['drawn'] = String(charts.length)
}

drawAll()
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll)
