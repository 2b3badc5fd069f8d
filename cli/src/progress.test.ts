/** A bar on a terminal, nothing elsewhere. */
import { WriteStream } from 'node:tty'
import { expect, test } from 'vitest'
import { createProgress } from './progress.ts'

/** A terminal, as far as a bar is concerned, that keeps what is written to it. */
function screen(isTTY: boolean): { readonly stream: WriteStream; readonly written: string[] } {
  const written: string[] = []
  const stream: WriteStream = Object.create(WriteStream.prototype, {
    isTTY: { value: isTTY },
    columns: { value: 80 },
    write: { value: (text: string) => written.push(text) > 0 },
    cursorTo: { value: () => true },
    clearLine: { value: () => true },
    moveCursor: { value: () => true },
  })
  return { stream, written }
}

test('M10: a bar on a terminal', () => {
  const { stream, written } = screen(true)
  const progress = createProgress(stream)
  progress.show(0, 200, '0 of 200 pages')
  progress.show(50, 200, '50 of 200 pages')
  progress.end()
  progress.end()
  expect(written.join('')).toContain('0 of 200 pages')
})

test('M10: no bar when nobody knows how much there is', () => {
  const { stream, written } = screen(true)
  const progress = createProgress(stream)
  progress.show(1000, undefined, '1,000 bytes')
  progress.end()
  expect(written.join('')).toContain('1,000 bytes')
  expect(written.join('')).not.toContain('%')
})

test('M10: elsewhere nothing', () => {
  const { stream, written } = screen(false)
  const progress = createProgress(stream)
  progress.show(50, 200, '50 of 200 pages')
  progress.end()
  expect(written).toEqual([])
})
