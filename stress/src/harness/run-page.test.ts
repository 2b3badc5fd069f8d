/** The page of a run: as text, and as a browser shows it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findBrowser } from '../testing/browser.ts'
import { exampleRunData } from '../testing/run-data.ts'
import type { RunData } from './run-data.ts'
import { pageOf } from './run-page.ts'
import { writeRunReport } from './run-report.ts'

const parts = { library: '/* library */', style: '', script: '' }

describe('M6: as text', () => {
  test('what is in it cannot become markup, nor end the data', () => {
    const findings = ['</script><script>alert(1)</script>', '<b>"bold" & more</b>']
    const page = pageOf(exampleRunData({ proved: false, findings }), parts)
    expect(page).not.toContain('<b>')
    expect(page).not.toContain('<script>alert')
    expect(page).toContain('&lt;b&gt;&quot;bold&quot; &amp; more&lt;/b&gt;')
    const [, json] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)!
    expect(JSON.parse(json!).findings).toEqual(findings)
  })

  test('a run that is not proved says so, with each finding and the command', () => {
    const verdicts = [{ name: 'a verdict', ok: false, detail: 'why' }]
    const page = pageOf(
      exampleRunData({ proved: false, verdicts, findings: ['lost: 1.2.3'] }),
      parts,
    )
    expect(page).toContain('Not proved')
    expect(page).toContain('<li class="fail"><strong>a verdict</strong><span>why</span></li>')
    expect(page).toContain('lost: 1.2.3')
    expect(page).toContain('pnpm stress documents --seed 42')
  })

  test('one without events or samples is a page too', () => {
    const { samples } = exampleRunData()
    const none = Object.fromEntries(Object.keys(samples).map((name) => [name, []]))
    const page = pageOf(
      exampleRunData({
        events: [],
        latencyMs: [],
        processes: [],
        samples: { ...samples, ...none },
      }),
      parts,
    )
    expect(page).toContain('All is proved')
  })
})

test('docs/REPORT.md names every field of the JSON', () => {
  const text = readFileSync(new URL('../../../docs/REPORT.md', import.meta.url), 'utf8')
  const { stats: _, ...process } = exampleRunData().processes[0]!
  const { run, totals, samples, events, ...rest } = exampleRunData()
  const named = [rest, run, totals, samples, samples.byProcess[0]!, process, ...events]
  const missing = named.flatMap(Object.keys).filter((field) => !text.includes(`\`${field}\``))
  expect(missing).toEqual([])
  for (const { kind } of events) expect(text).toContain(`\`${kind}\``)
})

describe('M6: in a browser', () => {
  const data = exampleRunData()
  let folder: string
  let browser: Browser | string

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ringbolt-page-'))
    writeRunReport(join(folder, 'report.html'), data)
    browser = await findBrowser()
  })

  afterAll(async () => {
    if (typeof browser !== 'string') await browser.close()
    rmSync(folder, { recursive: true })
  })

  interface Opened {
    readonly page: Page
    /** What the page said to the console, threw, or asked the network for. */
    readonly complaints: string[]
  }

  /** Undefined: there is no browser here, and the test has said so. */
  async function openPage(
    skip: () => void,
    options: Parameters<Browser['newPage']>[0],
  ): Promise<Opened | undefined> {
    if (typeof browser === 'string') {
      // oxlint-disable-next-line no-console
      console.log(`not run: no browser can run here: ${browser}`)
      skip()
      return undefined
    }
    const page = await browser.newPage(options)
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`))
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith('file:') && !url.startsWith('data:')) complaints.push(url)
    })
    await page.goto(pathToFileURL(join(folder, 'report.html')).href)
    return { page, complaints }
  }

  /** By chart and series: the figures that are drawn. */
  function drawn(page: Page): Promise<Record<string, Record<string, unknown>>> {
    // Runs in the page, as text: there `Chart` is Chart.js.
    return page.evaluate(`Object.fromEntries([...document.querySelectorAll('canvas')].map((canvas) => [
      canvas.id,
      Object.fromEntries(Chart.getChart(canvas).data.datasets.map(({ label, data }) => [label, data])),
    ]))`)
  }

  test('it draws all charts, asks the network for nothing, and has nothing to complain of', async (context) => {
    const opened = await openPage(() => context.skip(), { viewport: { width: 1280, height: 900 } })
    if (opened === undefined) return
    const { page, complaints } = opened
    await page.waitForSelector('html[data-drawn="8"]')
    const inked = await page.evaluate<
      boolean[]
    >(`[...document.querySelectorAll('canvas')].map((canvas) => {
      const { width, height } = canvas
      return canvas.getContext('2d').getImageData(0, 0, width, height).data.some((byte) => byte !== 0)
    })`)
    expect(inked).toEqual(Array.from({ length: 8 }, () => true))
    await page.hover('#throughput')
    await page.evaluate('new Promise((resolve) => requestAnimationFrame(resolve))')
    expect(complaints).toEqual([])
    await page.close()
  })

  test('the figures drawn and written are those of the JSON', async (context) => {
    const opened = await openPage(() => context.skip(), {})
    if (opened === undefined) return
    const { page } = opened
    const json: RunData = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'))
    expect(json).toEqual(data)
    const { samples } = json
    const charts = await drawn(page)
    const ofProcesses = (column: 'operationsPerS' | 'silenceMs' | 'rssMiB'): object =>
      Object.fromEntries(samples.byProcess.map((one, at) => [`process ${at}`, one[column]]))
    expect(charts).toEqual({
      throughput: ofProcesses('operationsPerS'),
      latency: {
        p50: samples.p50Ms,
        p90: samples.p90Ms,
        p99: samples.p99Ms,
        'p99.9': samples.p999Ms,
      },
      groups: {
        'commits per sync': samples.commitsPerSync,
        'a sync, mean (right)': samples.syncMs,
      },
      turns: {
        'hand-overs': samples.turnsPerS,
        'a wait, mean (right)': samples.turnWaitMs,
      },
      waits: ofProcesses('silenceMs'),
      reads: {
        'after own writes, and around': samples.readsPerS,
        'of others’ writes (right)': samples.freshnessChecksPerS,
      },
      memory: ofProcesses('rssMiB'),
      files: { database: samples.fileMiB, log: samples.logMiB },
    })
    const tiles = await page.evaluate<[string, number][]>(
      `[...document.querySelectorAll('.tile')].map((tile) => [tile.dataset.name, Number(tile.querySelector('data').value)])`,
    )
    const { reads, ...shown } = json.totals
    expect(reads).toBeGreaterThan(0)
    expect(Object.fromEntries(tiles)).toEqual({ ...shown, p50: 3.14, p99: 17.5 })
    const latencies = await page.evaluate<number[]>(
      `[...document.querySelectorAll('#latency-table data')].map(({ value }) => Number(value))`,
    )
    expect(latencies).toEqual(json.latencyMs.map(({ ms }) => ms))
    const verdicts = await page.evaluate<string[][]>(
      `[...document.querySelectorAll('.verdicts > ul > li')].map((one) => [one.className, one.children[0].textContent, one.children[1].textContent])`,
    )
    expect(verdicts).toEqual(
      json.verdicts.map(({ ok, name, detail }) => [ok ? 'ok' : 'fail', name, detail]),
    )
    expect(await page.locator('#event-table tr').count()).toBe(json.events.length)
    await page.close()
  })

  test.for([
    ['a phone', { viewport: { width: 360, height: 740 }, isMobile: true, deviceScaleFactor: 2 }],
    ['the dark', { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' }],
    ['the light', { viewport: { width: 1280, height: 900 }, colorScheme: 'light' }],
  ] as const)('it can be read on or in %s', async ([name, options], context) => {
    const opened = await openPage(() => context.skip(), options)
    if (opened === undefined) return
    const { page, complaints } = opened
    await page.waitForSelector('html[data-drawn="8"]')
    // Nothing is wider than the screen, and no tile's text than its tile.
    const wide = await page.evaluate<string[]>(
      `[...document.querySelectorAll('main, header, section, figure, .tile, .tile p, .verdicts li, .table')]
        .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5)
        .map((element) => element.outerHTML.slice(0, 80))`,
    )
    expect(wide).toEqual([])
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    const background = await page.evaluate('getComputedStyle(document.body).backgroundColor')
    expect(background).toBe(name === 'the dark' ? 'rgb(13, 17, 23)' : 'rgb(246, 247, 249)')
    expect(complaints).toEqual([])
    await page.close()
  })
})
