/** docs/MONITORING.md against the code: every figure, every channel, every field of a message. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { EVENT_CHANNELS } from './events.ts'
import { STATS_BYTES, StatsBoard } from './stats.ts'

const page = readFileSync(new URL('../../../../docs/MONITORING.md', import.meta.url), 'utf8')

function pathsOf(value: object, prefix = ''): string[] {
  return Object.entries(value).flatMap(([name, child]: [string, unknown]) =>
    typeof child === 'object' && child !== null
      ? pathsOf(child, `${prefix}${name}.`)
      : [prefix + name],
  )
}

test('every figure is documented, in order, and no other', () => {
  const stats = new StatsBoard(new SharedArrayBuffer(STATS_BYTES)).read(0)
  const table = page.slice(page.indexOf('## Figures'), page.indexOf('## Events'))
  const rows = Array.from(table.matchAll(/^\| `([\w.]+)` \|/gm), ([, name]) => name)
  expect(rows).toEqual(pathsOf(stats))
})

test('every channel is documented, and no other', () => {
  const rows = Array.from(page.matchAll(/^\| `(ringbolt:[\w-]+)` \|/gm), ([, name]) => name)
  expect(rows).toEqual(Object.values(EVENT_CHANNELS))
})

test('every field of a message is documented', () => {
  const source = readFileSync(new URL('../../src/engine/events.ts', import.meta.url), 'utf8')
  const messages = Array.from(
    source.matchAll(/interface \w+Event extends StoreEvent \{\n([^}]*)\}/g),
    ([, body = '']) => body,
  )
  expect(messages.length).toBe(Object.keys(EVENT_CHANNELS).length)
  for (const [, field] of messages.join('').matchAll(/readonly (\w+):/g)) {
    expect(page).toContain(`\`${field}\``)
  }
})
