/** Writes what a run gave: the page, which needs nothing else, and the figures that it shows. */
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { RunData } from './run-data.ts'
import { type PageParts, pageOf } from './run-page.ts'

const require = createRequire(import.meta.url)

/** @param path of the page, `*.html`; the figures go to `*.json` beside it */
export function writeRunReport(path: string, data: RunData): void {
  writeFileSync(path, pageOf(data, pageParts()))
  writeFileSync(path.replace(/\.html$/, '.json'), `${JSON.stringify(data, undefined, 1)}\n`)
}

/** What the page is made of besides its figures. */
function pageParts(): PageParts {
  // In the same folder as what the package gives to `require`.
  const library = join(dirname(require.resolve('chart.js')), 'chart.umd.min.js')
  const read = (url: URL): string => readFileSync(url, 'utf8')
  return {
    library: readFileSync(library, 'utf8'),
    style: read(new URL('../../page/report.css', import.meta.url)),
    script: read(new URL('../../page/dist/report.js', import.meta.url)),
  }
}
