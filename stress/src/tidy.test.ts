/**
 * What the project decided against, with what to do instead. Reads the sources as text.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

interface Source {
  readonly path: string
  readonly lines: readonly string[]
}

const folders = [
  'packages/ring',
  'packages/wal',
  'packages/locks',
  'packages/store',
  'workers',
  'stress',
  'cli',
  'bench',
  'examples/service',
]

const sources: Source[] = folders
  .flatMap((folder) =>
    readdirSync(`${root}/${folder}/src`, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/src/${name}`),
  )
  .filter((path) => path !== 'stress/src/tidy.test.ts')
  .toSorted()
  .map((path) => ({ path, lines: readFileSync(`${root}/${path}`, 'utf8').split('\n') }))

const library = sources.filter(({ path }) => path.startsWith('packages/') && !isTest(path))

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.includes('/testing/')
}

function isComment(line: string): boolean {
  return /^\s*(\*|\/\/|\/\*)/.test(line)
}

/** `path:line text` of each line that matches, but in the files that may, or where a comment says why. */
function offences({ among, pattern, allowed = [], explained = false }: Ban): string[] {
  return among
    .filter(({ path }) => !allowed.includes(path))
    .flatMap(({ path, lines }) =>
      lines.flatMap((line, index) => {
        const excused = explained && lines.slice(Math.max(0, index - 2), index).some(isComment)
        const offends = pattern.test(line) && !isComment(line) && !excused
        return offends ? [`${path}:${index + 1} ${line.trim()}`] : []
      }),
    )
}

interface Ban {
  readonly what: string
  readonly instead: string
  readonly pattern: RegExp
  readonly among: readonly Source[]
  readonly allowed?: readonly string[]
  /** A comment in the two lines before it excuses it. */
  readonly explained?: boolean
}

/** Where a package touches the world; everything below gets it handed in. */
const compositionRoots = [
  'packages/ring/src/environment.ts',
  'packages/wal/src/log-thread.ts',
  'packages/wal/src/shared-log.ts',
  'packages/wal/src/file-store.ts',
  'packages/locks/src/node-platform.ts',
  'packages/store/src/engine/check-file.ts',
  'packages/store/src/engine/backup-files.ts',
  'packages/store/src/engine/compact.ts',
  'packages/store/src/engine/file-folders.ts',
  'packages/store/src/engine/maintenance-thread.ts',
  'packages/store/src/engine/maintenance.ts',
  'packages/store/src/engine/open.ts',
  'packages/store/src/engine/process-link.ts',
  'packages/store/src/engine/restore.ts',
  'packages/store/src/engine/sequencer-thread.ts',
  'packages/store/src/engine/store-owner.ts',
]

const bans: Ban[] = [
  {
    what: 'Date.now, performance.now and process.hrtime',
    instead: 'take a clock as a parameter; the composition root hands it in',
    pattern: /\b(Date\.now|new Date\(\)|performance\.now|process\.hrtime)\b/,
    among: library,
    allowed: compositionRoots,
  },
  {
    what: 'Math.random and random bytes',
    instead: 'take a seeded generator as a parameter; the composition root hands it in',
    pattern: /\b(Math\.random|crypto\.(random\w+|getRandomValues))\b|from 'node:crypto'/,
    among: library,
    allowed: compositionRoots,
  },
  {
    what: 'node:fs',
    instead: "go through the package's store; one module of a package touches files",
    pattern: /from 'node:fs(\/promises)?'/,
    among: library,
    allowed: compositionRoots,
  },
  {
    what: 'threads',
    instead: 'the composition root starts them, and hands in what they say',
    pattern: /from 'node:worker_threads'/,
    among: library.filter(({ path }) => path.startsWith('packages/store/')),
    allowed: compositionRoots,
  },
  {
    what: 'Atomics and SharedArrayBuffer accesses',
    instead: 'go through SharedMemory, so that the model checker sees them',
    pattern: /\bAtomics\./,
    among: library,
    // The second is no memory between threads, but a file of other processes.
    allowed: ['packages/ring/src/shared-memory.ts', 'packages/locks/src/mapping.ts'],
  },
  {
    what: 'a TODO without an issue',
    instead: 'write TODO(#number) with the reason, or do it',
    pattern: /\b(TODO|FIXME|XXX)\b(?!\(#\d+\))/,
    among: sources,
  },
  {
    what: 'focused or skipped tests',
    instead: 'mend the test, or skip at run time with a printed reason',
    pattern: /\b(describe|it|test)\.(only|skip|todo)\(/,
    among: sources,
  },
  {
    what: 'a swallowed error',
    instead: 'handle it, or say in the code why it may pass',
    pattern: /catch \{\s*\}|\.catch\(\(\) => (\{\s*\}|undefined|null)\)/,
    among: sources,
    explained: true,
  },
]

describe('tidy', () => {
  test('there are sources to look at', () => {
    expect(library.length).toBeGreaterThan(10)
  })

  test.each(bans)('no $what: $instead', (ban) => {
    expect(offences(ban)).toEqual([])
  })

  test('imports run downwards only: ring < wal, locks < store < workers < stress, cli, bench, examples', () => {
    const libraries = ['@ringbolt/ring', '@ringbolt/wal', '@ringbolt/locks', 'ringbolt']
    const below: Record<string, readonly string[]> = {
      'packages/ring': [],
      'packages/locks': [],
      'packages/wal': ['@ringbolt/ring'],
      'packages/store': ['@ringbolt/ring', '@ringbolt/wal', '@ringbolt/locks'],
      workers: libraries,
      stress: [...libraries, '@ringbolt/workers'],
      // The harness is run as a process of its own.
      cli: libraries,
      bench: [...libraries, '@ringbolt/workers'],
      // What users do: nothing below the store.
      'examples/service': ['ringbolt', '@ringbolt/workers'],
    }
    const wrong = sources.flatMap(({ path, lines }) => {
      const folder = Object.keys(below).find((name) => path.startsWith(`${name}/`)) ?? path
      return lines
        .filter((line) => !isComment(line))
        .flatMap((line) => /from '(@ringbolt\/[a-z]+|ringbolt)\b/.exec(line)?.[1] ?? [])
        .filter((name) => !below[folder]?.includes(name))
        .map((name) => `${path} imports ${name}`)
    })
    expect(wrong).toEqual([])
  })

  test('in the store the engine is on top: nothing below it knows it', () => {
    const store = 'packages/store/src/'
    const upwards = library.filter(
      ({ path, lines }) =>
        path.startsWith(store) &&
        !/^(engine|simulation|isolation)\/|^index\.ts$/.test(path.slice(store.length)) &&
        lines.some((line) => /from '\.\.\/(\.\.\/)*engine\//.test(line)),
    )
    expect(upwards.map(({ path }) => path)).toEqual([])
  })

  test('no file has grown past 600 lines', () => {
    const long = sources.filter(({ lines }) => lines.length > 600)
    expect(long.map(({ path, lines }) => `${path}: ${lines.length} lines`)).toEqual([])
  })
})
