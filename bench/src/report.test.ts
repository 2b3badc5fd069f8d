import { expect, test } from 'vitest'
import { markdownTable, type Table, terminalTable } from './report.ts'

const table: Table = {
  title: 'log',
  unit: 'records/s',
  base: 'a',
  rows: [
    { name: 'a', remark: 'first', values: [512_345, 400_000, 600_000] },
    { name: 'b', remark: '', values: [256_172.5, 100_000, 200_000] },
  ],
}

test('a README gets medians, spreads and ratios, to three digits', () => {
  expect(markdownTable(table)).toBe(
    [
      '| log (records/s; ratio: a to each) | median | min … max | ratio | min … max | remark |',
      '| --- | ---: | ---: | ---: | ---: | --- |',
      '| a | 512,000 | 400,000 … 600,000 |  |  | first |',
      '| b | 200,000 | 100,000 … 256,000 | 3.00× | 2.00× … 4.00× |  |',
      '',
    ].join('\n'),
  )
})

test('a terminal gets columns that stand under each other', () => {
  const [heading, head, ...rows] = terminalTable(table).trimEnd().split('\n')
  expect(heading).toBe('log (records/s; ratio: a to each)')
  expect(head).toContain('median')
  expect(rows).toHaveLength(2)
  expect(rows[0]!.indexOf('400,000 …')).toBe(rows[1]!.indexOf('100,000 …'))
})

test('notes stand below the table', () => {
  const noted = { ...table, notes: ['c: not possible'] }
  expect(markdownTable(noted)).toMatch(/\|\n\nc: not possible\n$/)
  expect(terminalTable(noted)).toMatch(/\n {2}c: not possible\n$/)
})
