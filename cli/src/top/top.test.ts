/** Databases looked at from outside while real processes write them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { WriteStream } from 'node:tty'
import { METHOD_NAMES } from '@ringbolt/locks'
import { describeFile, open } from 'ringbolt'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ringbolt, start } from '../testing/command.ts'
import { copyAsCrashed } from '../testing/crashed-copy.ts'
import { notes, startWriter, type WriterProcess } from '../testing/notes.ts'
import { figuresOf } from './figures.ts'
import { Observer } from './observer.ts'
import { Screen } from './screen.ts'
import { lineOf, pageOf } from './text.ts'

let folder: string
let path: string
const closers: (() => Promise<void>)[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-top-'))
  path = join(folder, 'app.db')
})

afterEach(async () => {
  for (const close of closers.splice(0)) await close()
  rmSync(folder, { recursive: true })
})

async function writing(): Promise<WriterProcess> {
  const writer = await startWriter(path)
  closers.push(() => writer.end())
  return writer
}

/** Seconds by a clock that is moved by hand. */
function observed(): { observer: Observer; pass: (seconds: number) => void } {
  let nowMs = 1_000_000
  const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs }
  return {
    observer: new Observer(path, clock),
    pass(seconds) {
      nowMs += seconds * 1000
    },
  }
}

describe('M10: top', () => {
  test.each(METHOD_NAMES)(
    'every commit is counted, over segments and checkpoints, and rates are of the interval: %s',
    async (lockMethod) => {
      const db = await open(path, { collections: [notes], segmentBytes: 8192, lockMethod })
      closers.push(() => db.close())
      let id = 1
      // The first few commits are not only the user's.
      while (id < 10) await db.collection(notes).insert({ id: id++, text: '' })
      const { observer, pass } = observed()
      let before = await observer.observe()
      for (const count of [1, 0, 40, 0, 200, 3]) {
        for (let left = count; left > 0; left--) {
          await db.collection(notes).insert({ id: id++, text: 'x'.repeat(100) })
        }
        if (count === 40) await db.checkpoint()
        pass(2)
        const now = await observer.observe()
        const figures = figuresOf(now, before)
        expect(figures).toMatchObject({
          clean: false,
          intervalS: 2,
          commits: count,
          commitsPerS: count / 2,
          groupsPerS: count / 2,
          lastSequence: describeFile(path).lastSequence,
          writer: { pid: process.pid },
          processes: [{ pid: process.pid, state: 'live', lagBytes: 0 }],
        })
        // It is said with the next commit, or told from the file while there is none.
        if (count !== 40) expect(figures.checkpoint).toBe(describeFile(path).checkpoint)
        // Spares come and go meanwhile.
        const segments = readdirSync(`${path}-wal`).filter((name) => name.endsWith('.seg'))
        expect(figures.log?.segments).toBe(segments.length)
        expect(figures.log?.bytes).toBeGreaterThanOrEqual(segments.length * 8192)
        expect(lineOf(figures)).toContain(`${count / 2} commits/s`)
        before = now
      }
    },
  )

  test('nothing is made, changed or held by looking', async () => {
    const db = await open(path, { collections: [notes] })
    await db.collection(notes).insert({ id: 1, text: '' })
    await db.close()
    rmSync(`${path}-lock`)
    const content = readFileSync(path)
    const { observer } = observed()
    const figures = figuresOf(await observer.observe(), undefined)
    expect(figures).toMatchObject({
      clean: true,
      log: null,
      writer: null,
      commitsPerS: null,
      lastSequence: describeFile(path).lastSequence,
      processes: [],
    })
    expect(pageOf(figures).join('\n')).toContain('closed cleanly')
    expect(readdirSync(folder)).toEqual(['app.db'])
    expect(readFileSync(path).equals(content)).toBe(true)
  })

  test('how far a process is behind that does not run, and that one has died', async () => {
    const [writer, sleeper] = [await writing(), await writing()]
    await sleeper.tell('insert 1')
    await writer.tell('insert 1')
    const { observer } = observed()
    const processOf = async (pid: number) =>
      figuresOf(await observer.observe(), undefined).processes.find((one) => one.pid === pid)
    await expect.poll(() => processOf(sleeper.pid)).toMatchObject({ state: 'live', lagBytes: 0 })
    sleeper.signal('SIGSTOP')
    try {
      await writer.tell('insert 50')
      const behind = await processOf(sleeper.pid)
      expect(behind?.lagBytes).toBeGreaterThan(50 * 200)
      expect(behind?.oldestBytes).toBeGreaterThanOrEqual(behind?.lagBytes ?? Infinity)
      await expect.poll(() => processOf(writer.pid)).toMatchObject({ lagBytes: 0 })
    } finally {
      sleeper.signal('SIGCONT')
    }
    await expect.poll(() => processOf(sleeper.pid)).toMatchObject({ lagBytes: 0 })
    writer.signal('SIGKILL')
    await writer.end()
    // Until somebody sweeps up after it.
    await expect.poll(async () => (await processOf(writer.pid))?.state ?? 'dead').toBe('dead')
  })

  test('what a crash has left: the log counts, nobody is there', async () => {
    const db = await open(join(folder, 'other.db'), { collections: [notes] })
    for (let id = 1; id < 10; id++) await db.collection(notes).insert({ id, text: '' })
    copyAsCrashed(join(folder, 'other.db'), path)
    await db.close()
    const { observer } = observed()
    const figures = figuresOf(await observer.observe(), undefined)
    const { lastSequence } = describeFile(path)
    expect(figures).toMatchObject({ clean: false, lastSequence, processes: [], writer: null })
    expect(pageOf(figures).join('\n')).toContain('no process is known')
  })

  test('a line for each interval, until Ctrl-C: 0; --once; --json', async () => {
    const writer = await writing()
    await writer.tell('flow')
    const { child, outcome } = start('top', path, '--interval', '0.05', '--json')
    const seen: Record<string, unknown>[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      seen.push(JSON.parse(line))
      if (seen.length === 5) child.kill('SIGINT')
    }
    expect(await outcome).toMatchObject({ code: 0, stderr: '' })
    expect(seen.length).toBeGreaterThanOrEqual(5)
    const sequences = seen.map(({ lastSequence }) => Number(lastSequence))
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b))
    expect(seen[0]).toMatchObject({ file: path, processes: [{ pid: writer.pid, state: 'live' }] })

    const page = await ringbolt('top', path, '--once', '--interval', '0.2')
    expect(page).toMatchObject({ code: 0, stderr: '' })
    expect(page.stdout).toMatch(/commits +[\d,.]+ commits\/s/)
    expect(page.stdout).toContain(String(writer.pid))
  })

  test('on a terminal the next page takes the place of the last one; long lines are cut', () => {
    const written: string[] = []
    const stream: WriteStream = Object.create(WriteStream.prototype, {
      columns: { value: 10 },
      rows: { value: 4 },
      write: { value: (text: string) => written.push(text) > 0 },
    })
    const screen = new Screen(stream)
    screen.show(['one', 'two', 'three that is long'])
    expect(written.splice(0).join('')).toBe('\x1b[0Jone\ntwo\nthree tha\n')
    screen.show(['1', '2', '3', '4', '5'])
    expect(written.splice(0).join('')).toBe('\x1b[10D\x1b[3A\x1b[0J1\n2\n3\n')
  })
})
