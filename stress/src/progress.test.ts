import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { createProgress } from './progress.ts'

class Sink extends Writable {
  readonly isTTY: boolean
  readonly columns = 120
  text = ''

  constructor(isTTY: boolean) {
    super({ decodeStrings: false })
    this.isTTY = isTTY
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk
    done()
  }

  // What cli-progress asks of a terminal.
  cursorTo(): void {}
  clearLine(): void {}
}

test('plain lines where there is no terminal', () => {
  const sink = new Sink(false)
  const progress = createProgress(sink)
  progress.show(0.5, '1,234 acknowledged')
  progress.note('killed')
  progress.show(1, '2,000 acknowledged')
  progress.end()
  expect(sink.text).toBe(' 50 %  1,234 acknowledged\nkilled\n100 %  2,000 acknowledged\n')
})

test('a bar in a terminal; notes stand on lines of their own', () => {
  const sink = new Sink(true)
  const progress = createProgress(sink)
  progress.show(0.5, '1,234 acknowledged')
  progress.note('killed')
  progress.end()
  expect(sink.text).toContain('50%  1,234 acknowledged')
  expect(sink.text).toMatch(/\nkilled\n$/)
})
