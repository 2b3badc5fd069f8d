/** The order of syncs: the rules themselves, the file store's calls, and the kernel's view of them. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { FaultStore } from '../fault-store.ts'
import { FileStore } from '../file-store.ts'
import { MemoryStore } from '../memory-store.ts'
import { runLogProgram } from './log-program.ts'
import { PLANTED_BUGS } from './planted-bugs.ts'
import { STRACE_CALLS, traceOfStrace } from './strace-trace.ts'
import { checkSyncOrder, type TraceEvent } from './sync-order.ts'
import { TracingStore } from './tracing-store.ts'

const SEEDS = [1, 2, 3]
const folders: string[] = []

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ringbolt-order-'))
  folders.push(folder)
  return folder
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

/** The trace of the log program; of a failing one, up to its failure. */
function traceProgram(trace: TracingStore, seed: number): readonly TraceEvent[] {
  runLogProgram(trace, seed, {
    onStart: () => trace.events.push({ kind: 'start' }),
    onAcknowledge: () => trace.events.push({ kind: 'acknowledge' }),
  })
  return trace.events
}

function countOf(events: readonly TraceEvent[], kind: TraceEvent['kind']): number {
  return events.filter((event) => event.kind === kind).length
}

/** A trace in which nothing happens keeps every rule: the program must have done its work. */
function expectFull(events: readonly TraceEvent[]): void {
  expect(countOf(events, 'acknowledge')).toBeGreaterThan(60)
  expect(countOf(events, 'write')).toBeGreaterThan(70)
  expect(countOf(events, 'sync')).toBeGreaterThan(60)
  expect(countOf(events, 'create')).toBeGreaterThan(1)
  expect(countOf(events, 'rename')).toBeGreaterThan(4)
  expect(countOf(events, 'syncFolder')).toBeGreaterThan(4)
}

describe('the rules', () => {
  const sound: readonly TraceEvent[] = [
    { kind: 'start' },
    { kind: 'create', file: 1, name: 'spare-1.new' },
    { kind: 'write', file: 1 },
    { kind: 'sync', file: 1 },
    { kind: 'rename', from: 'spare-1.new', to: '1.seg' },
    { kind: 'syncFolder' },
    { kind: 'write', file: 1 },
    { kind: 'sync', file: 1 },
    { kind: 'acknowledge' },
  ]

  test('accept what is sound', () => {
    expect(checkSyncOrder(sound)).toEqual([])
  })

  test.each([
    ['O1', 'no sync before the acknowledgement', 7],
    ['O2', 'no sync of the folder', 5],
    ['O3', 'no sync of the content before the name', 3],
  ] as const)('%s: %s', (rule, _, left) => {
    const violations = checkSyncOrder(sound.filter((_event, index) => index !== left))
    expect(violations.map((violation) => violation.rule)).toContain(rule)
  })

  test.each<[string, readonly TraceEvent[]]>([
    ['O3', [{ kind: 'create', file: 1, name: '1.seg' }]],
    [
      'O4',
      [
        { kind: 'open', file: 1, name: '1.seg' },
        { kind: 'write', file: 1 },
        { kind: 'rename', from: 'spare-1', to: '2.seg' },
      ],
    ],
    [
      'O5',
      [
        { kind: 'open', file: 1, name: '1.seg' },
        { kind: 'rename', from: '1.seg', to: 'spare-1' },
        { kind: 'write', file: 1 },
      ],
    ],
    ['O2', [{ kind: 'rename', from: '1.seg', to: 'spare-1' }, { kind: 'acknowledge' }]],
    ['O6', [{ kind: 'failed', call: 'rename', name: '1.seg' }, { kind: 'acknowledge' }]],
    [
      'O6',
      [
        { kind: 'rename', from: 'spare-1', to: '1.seg' },
        { kind: 'failed', call: 'syncFolder' },
        { kind: 'syncFolder' },
        { kind: 'acknowledge' },
      ],
    ],
    [
      'O6',
      [
        { kind: 'open', file: 1, name: '1.seg' },
        { kind: 'failed', call: 'sync', file: 1 },
        { kind: 'sync', file: 1 },
      ],
    ],
  ])('%s alone is broken', (rule, events) => {
    expect(checkSyncOrder(events).map((violation) => violation.rule)).toEqual([rule])
  })

  test('O6 ends when the log is opened again', () => {
    const events: TraceEvent[] = [
      { kind: 'open', file: 1, name: '1.seg' },
      { kind: 'failed', call: 'sync', file: 1 },
      { kind: 'start' },
      { kind: 'sync', file: 1 },
    ]
    expect(checkSyncOrder(events)).toEqual([])
  })
})

describe('the calls of the log', () => {
  test.each(SEEDS)('over the file store keep the order, seed %i', (seed) => {
    const events = traceProgram(new TracingStore(new FileStore(freshFolder())), seed)
    expectFull(events)
    expect(checkSyncOrder(events)).toEqual([])
  })

  test.each(['sync', 'syncFolder', 'write', 'rename'] as const)(
    'W4: after a failed %s nothing is tried again',
    (call) => {
      let poisoned = 0
      for (let nth = 1; nth <= 12; nth++) {
        const trace = new TracingStore(new FaultStore(new MemoryStore(), { call, nth }))
        try {
          traceProgram(trace, 1)
        } catch (error) {
          expect(String(error)).toContain('EIO')
          poisoned++
        }
        expect(countOf(trace.events, 'failed')).toBe(1)
        expect(checkSyncOrder(trace.events)).toEqual([])
      }
      // The others hit a spare that was being prepared, which the log can do without.
      expect(poisoned).toBeGreaterThan(6)
    },
  )

  test.each([
    ['a sync that does nothing', 'O1'],
    ['a folder sync that does nothing', 'O2'],
    ['no folder sync after a rename', 'O2'],
    ['a new segment named before its content is certain', 'O3'],
    ['acknowledgement before the sync', 'O1'],
  ])('%s breaks %s', (bug, rule) => {
    const plant = PLANTED_BUGS.get(bug)
    if (plant === undefined) throw new Error(`no planted bug: ${bug}`)
    const trace = new TracingStore(new MemoryStore())
    const broken = plant(trace, { activity: 'open' })
    runLogProgram(broken, 1, {
      onStart: () => trace.events.push({ kind: 'start' }),
      onAcknowledge: () => trace.events.push({ kind: 'acknowledge' }),
    })
    expect(checkSyncOrder(trace.events).map((violation) => violation.rule)).toContain(rule)
  })
})

describe('the system calls of a process', () => {
  const strace = spawnSync('strace', ['-V'], { encoding: 'utf8' })

  test('keep the order, as strace sees them', (context) => {
    if (strace.error !== undefined || strace.status !== 0) {
      context.skip(`strace is not installed: ${strace.error?.message ?? strace.stderr}`)
    }
    const folder = join(freshFolder(), 'log')
    const output = join(freshFolder(), 'strace.txt')
    const child = fileURLToPath(new URL('./log-program-child.js', import.meta.url))
    const traced = spawnSync(
      'strace',
      [
        '-f',
        '-e',
        `trace=${STRACE_CALLS.join(',')}`,
        '-s',
        '256',
        '-o',
        output,
        '--',
        process.execPath,
        child,
        folder,
        '1',
      ],
      { encoding: 'utf8' },
    )
    const refused = /ptrace|Operation not permitted/.test(traced.stderr)
    if (traced.status !== 0 && refused) context.skip(`strace may not trace here: ${traced.stderr}`)
    expect(traced.stderr).toBe('')
    expect(traced.status).toBe(0)
    const events = traceOfStrace(readFileSync(output, 'utf8'), folder)
    expectFull(events)
    expect(checkSyncOrder(events)).toEqual([])
  })

  test('are put together when strace shows them in two parts', () => {
    const output = [
      '101 openat(AT_FDCWD, "/log/1.seg", O_RDWR|O_NOFOLLOW|O_CLOEXEC) = 17',
      '101 pwrite64(17, "\\0\\0"..., 4096, 0 <unfinished ...>',
      '102 openat(AT_FDCWD, "/other/2.seg", O_RDWR|O_CREAT, 0600) = 18',
      '101 <... pwrite64 resumed>) = 4096',
      '102 pwrite64(18, "x", 1, 0) = 1',
      '101 fdatasync(17) = -1 EIO (Input/output error)',
      '101 openat(AT_FDCWD, "/log", O_RDONLY|O_DIRECTORY) = 17',
      '101 fsync(17) = 0',
      '101 rename("/log/1.seg", "/log/spare-1") = 0',
      '101 unlink("/log/spare-1") = 0',
      '101 write(1, "acknowledge\\n", 12) = 12',
      '101 +++ exited with 0 +++',
    ].join('\n')
    expect(traceOfStrace(output, '/log')).toEqual([
      { kind: 'open', file: 1, name: '1.seg' },
      { kind: 'write', file: 1 },
      { kind: 'failed', call: 'sync', file: 1 },
      { kind: 'syncFolder' },
      { kind: 'rename', from: '1.seg', to: 'spare-1' },
      { kind: 'remove', name: 'spare-1' },
      { kind: 'acknowledge' },
    ])
  })
})
