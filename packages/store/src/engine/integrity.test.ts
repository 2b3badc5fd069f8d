/** What the integrity check finds, and where, by deliberate damage of each kind. */
import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Random } from '@ringbolt/wal/simulation'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { defineCollection } from '../client/define-collection.ts'
import { encodeId, encodeIndexKey } from '../document/keys.ts'
import type { IntegrityFinding, IntegrityKind } from '../finding.ts'
import { PAGE_BYTES, PAGE_WORDS, PageKind } from '../page/page.ts'
import { OVERFLOW_REMAINING_WORD } from '../tree/layout.ts'
import { checkFile } from './check-file.ts'
import { open } from './open.ts'
import { commitPast } from './testing/commit-past.ts'
import { DamageKit } from './testing/damage-kit.ts'

interface Boat {
  readonly id: number
  readonly name: string
  readonly berth: number
  readonly notes: string
}

const boats = defineCollection<Boat>()({
  name: 'boats',
  version: 1,
  indexes: { name: { on: 'name', unique: true }, berth: { on: 'berth' } },
})

const BOATS = 3000
/** As the catalog gives them out. */
const TREE = 1

let folder: string
let path: string

function boatOf(id: number): Boat {
  const notes = id === 1234 ? 'long '.repeat(20_000) : 'x'.repeat(40)
  return { id, name: `boat ${id}`, berth: id % 40, notes }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-integrity-'))
  path = join(folder, 'app.db')
  const db = await open(join(folder, 'sound.db'), { collections: [boats], sync: 'off' })
  const collection = db.collection(boats)
  for (let first = 1; first <= BOATS; first += 500) {
    collection.sync.insertMany(Array.from({ length: 500 }, (_, at) => boatOf(first + at)))
  }
  await db.close()
})

afterAll(() => rmSync(folder, { recursive: true }))

beforeEach(() => copyFileSync(join(folder, 'sound.db'), path))

/** By the file that nobody has open, and by the database, opened. */
async function findings(): Promise<readonly IntegrityFinding[]> {
  const closed = checkFile(path).findings
  const db = await open(path, { readOnly: true, crossProcessLock: false })
  try {
    const live = (await db.integrityCheck()).findings
    const kindsOf = (all: readonly IntegrityFinding[]) => new Set(all.map(({ kind }) => kind))
    expect(kindsOf(live)).toEqual(kindsOf(closed))
  } finally {
    await db.close()
  }
  for (const { file, offset, message } of closed) {
    expect(message).toContain(file)
    expect(message).toContain(`at byte ${offset}`)
  }
  return closed
}

async function expectOnly(kind: IntegrityKind, pageId: number): Promise<void> {
  const found = await findings()
  expect(found.length).toBeGreaterThan(0)
  expect(found.map((finding) => finding.kind)).toEqual(found.map(() => kind))
  expect(found.map((finding) => finding.pageId)).toContain(pageId)
  expect(found.map((finding) => finding.offset)).toContain(pageId * PAGE_BYTES)
}

test('M7: a sound file: counts, and nothing found', async () => {
  const report = checkFile(path)
  expect(report).toMatchObject({
    documents: BOATS,
    indexEntries: 2 * BOATS,
    findings: [],
    notes: [],
  })
  expect(report.bytes).toBe(report.pages * PAGE_BYTES)
  const db = await open(path, { readOnly: true })
  const { durationMs: _, ...live } = await db.integrityCheck()
  await db.close()
  expect({ ...live, durationMs: report.durationMs }).toEqual(report)
})

describe('M7: pages', () => {
  test('a bad checksum: a bit of a leaf', async () => {
    const kit = new DamageKit(path)
    const leaf = kit.pagesOf(TREE, PageKind.leaf)[5]!
    kit.flipBit(leaf)
    await expectOnly('checksum', leaf)
  })

  test('a lost write: whole in itself, not what its reference says', async () => {
    const kit = new DamageKit(path)
    const leaf = kit.pagesOf(TREE, PageKind.leaf)[5]!
    kit.loseWrite(leaf)
    await expectOnly('checksum', leaf)
    expect((await findings())[0]!.what).toBe("page checksum against the reference's")
  })

  test('an orphan page', async () => {
    const leaked = new DamageKit(path).leak()
    await expectOnly('orphan-page', leaked)
  })

  test('a page used twice: by two references', async () => {
    const kit = new DamageKit(path)
    const child = kit.referTwice(kit.pagesOf(TREE, PageKind.branch)[0]!)
    const kinds = new Set((await findings()).map(({ kind }) => kind))
    expect(kinds).toContain('page-used-twice')
    expect(kinds).not.toContain('orphan-page')
    const twice = (await findings()).find(({ kind }) => kind === 'page-used-twice')
    expect(twice).toMatchObject({ pageId: child, tree: TREE })
  })

  test('a page used twice: reached, and free', async () => {
    const kit = new DamageKit(path)
    const leaf = kit.pagesOf(TREE, PageKind.leaf)[3]!
    kit.freeInUse(leaf)
    const found = checkFile(path).findings.filter(({ kind }) => kind !== 'orphan-page')
    expect(found).toMatchObject([{ kind: 'page-used-twice', pageId: leaf }])
  })

  test('key order', async () => {
    const kit = new DamageKit(path)
    const leaf = kit.pagesOf(TREE, PageKind.leaf)[4]!
    kit.swapKeys(leaf)
    const found = (await findings()).filter(({ kind }) => kind !== 'document')
    expect(found).toMatchObject([{ kind: 'key-order', pageId: leaf, tree: TREE }])
  })

  test('fences', async () => {
    const kit = new DamageKit(path)
    const leaf = kit.pagesOf(TREE, PageKind.leaf)[4]!
    kit.moveFence(leaf)
    const kinds = (await findings()).map(({ kind, pageId }) => ({ kind, pageId }))
    expect(kinds).toContainEqual({ kind: 'fence', pageId: leaf })
  })

  test('depth', async () => {
    const root = new DamageKit(path).deepen(TREE)
    await expectOnly('depth', root)
    expect((await findings())[0]).toMatchObject({ what: 'level', expected: 2, actual: 1 })
  })

  test('dangling references: beyond the file, and to no page', async () => {
    const kit = new DamageKit(path)
    const branch = kit.pagesOf(TREE, PageKind.branch)[0]!
    const beyond = kit.meta.pageCount + 7
    kit.referNowhere(branch, beyond)
    await expectOnly('dangling-reference', beyond)
    kit.referNowhere(branch, 0)
    await expectOnly('dangling-reference', branch)
  })

  test('a wrong count', async () => {
    const kit = new DamageKit(path)
    kit.miscount(TREE)
    await expectOnly('count', kit.directoryPage)
    const [found] = await findings()
    expect(found).toMatchObject({ tree: TREE, expected: BOATS, actual: BOATS + 1 })
  })

  test('a long value whose pages do not add up', async () => {
    const kit = new DamageKit(path)
    const page = kit.pagesOf(TREE, PageKind.overflow)[1]!
    kit.edit(page, (words) => {
      words[OVERFLOW_REMAINING_WORD]! += 1
    })
    await expectOnly('overflow', page)
  })

  test('damage in several places: each is found', () => {
    const kit = new DamageKit(path)
    const leaves = kit.pagesOf(TREE, PageKind.leaf)
    for (const leaf of [leaves[1]!, leaves[6]!, leaves[9]!]) kit.flipBit(leaf)
    new DamageKit(path).miscount(TREE + 1)
    const found = checkFile(path).findings.map(({ kind, pageId }) => ({ kind, pageId }))
    expect(found).toEqual([
      { kind: 'checksum', pageId: leaves[1] },
      { kind: 'checksum', pageId: leaves[6] },
      { kind: 'checksum', pageId: leaves[9] },
      { kind: 'count', pageId: kit.directoryPage },
    ])
  })

  test('the free list', () => {
    const kit = new DamageKit(path)
    kit.freeInUse(kit.directoryPage)
    const { findings: found, notes } = checkFile(path)
    expect(found.map(({ kind }) => kind)).toEqual(['free-list'])
    expect(notes.join()).toMatch(/orphan pages cannot be told/)
  })

  test('a file that is cut off, and one without a meta: one finding each', () => {
    const content = readFileSync(path)
    writeFileSync(path, content.subarray(0, content.length - PAGE_BYTES))
    expect(checkFile(path).findings).toMatchObject([{ kind: 'meta', what: 'file length' }])
    writeFileSync(
      path,
      Buffer.from(content)
        .fill(1, 100, 200)
        .fill(1, PAGE_BYTES + 100, PAGE_BYTES + 200),
    )
    expect(checkFile(path).findings).toMatchObject([{ kind: 'meta', what: 'meta checksum' }])
  })
})

describe('M7: documents and indexes', () => {
  test('a missing entry: located at its document', async () => {
    await commitPast(path, (command, { indexes }) =>
      command.delete(indexes[1]!.tree, encodeIndexKey([5], 45)),
    )
    const found = await findings()
    expect(found).toMatchObject([
      { kind: 'missing-index-entry', collection: 'boats', index: 'berth', documentId: 45 },
    ])
    expect(new DamageKit(path).pagesOf(TREE, PageKind.leaf)).toContain(found[0]!.pageId)
  })

  test('orphaned entries: of no document, of one that has another value', async () => {
    await commitPast(path, (command, { indexes }) => {
      command.put(indexes[1]!.tree, encodeIndexKey([5], 777_777), new Uint8Array(0))
      command.put(indexes[1]!.tree, encodeIndexKey([6], 45), new Uint8Array(0))
    })
    expect(await findings()).toMatchObject([
      { kind: 'orphaned-index-entry', index: 'berth', documentId: 777_777, actual: 'none' },
      { kind: 'orphaned-index-entry', index: 'berth', documentId: 45, actual: 'another' },
    ])
  })

  test('an entry missing and another too many: the counts agree, the check does not', async () => {
    await commitPast(path, (command, { indexes }) => {
      command.delete(indexes[1]!.tree, encodeIndexKey([5], 45))
      command.put(indexes[1]!.tree, encodeIndexKey([6], 45), new Uint8Array(0))
    })
    expect((await findings()).map(({ kind }) => kind)).toEqual([
      'missing-index-entry',
      'orphaned-index-entry',
    ])
  })

  test('a document that cannot be read', async () => {
    await commitPast(path, (command, { tree }) =>
      command.put(tree, encodeId(5), Uint8Array.of(255, 1)),
    )
    const [first] = await findings()
    expect(first).toMatchObject({ kind: 'document', collection: 'boats', documentId: 5 })
  })

  test("the catalog: a tree that is nobody's", async () => {
    await commitPast(path, (command) => command.createTree(1999, 9))
    expect(await findings()).toMatchObject([{ kind: 'catalog', tree: 1999 }])
  })
})

describe('M7: the log', () => {
  /** A copy of a database as a crash leaves it: a log of several segments. */
  async function crashed(): Promise<string> {
    const source = join(folder, 'logged.db')
    const db = await open(source, {
      collections: [boats],
      segmentBytes: 16_384,
      checkpointLogBytes: 2 ** 40,
    })
    for (let id = 1; id <= 200; id++) await db.collection(boats).insert(boatOf(id))
    rmSync(`${path}-wal`, { recursive: true, force: true })
    copyFileSync(source, path)
    cpSync(`${source}-wal`, `${path}-wal`, { recursive: true })
    await db.close()
    rmSync(source)
    return `${path}-wal`
  }

  function segmentsOf(log: string): string[] {
    return readdirSync(log)
      .filter((name) => name.endsWith('.seg'))
      .toSorted()
  }

  test('whole: nothing is found, and it is said that it was not applied', async () => {
    await crashed()
    const { findings: found, notes } = checkFile(path)
    expect(found).toEqual([])
    expect(notes.join()).toMatch(/its chain alone was checked/)
  })

  test('a damaged group that later ones say was durable', async () => {
    const log = await crashed()
    const [, second] = segmentsOf(log)
    const content = readFileSync(join(log, second!))
    content[4096 + 100]! ^= 1
    writeFileSync(join(log, second!), content)
    const [first, ...others] = checkFile(path).findings
    expect(first).toMatchObject({ kind: 'log-chain', file: join(log, second!) })
    expect(first!.offset).toBeGreaterThanOrEqual(4096)
    // What follows does not go on from there.
    for (const { kind } of others) expect(kind).toBe('log-chain')
  })

  test('a segment of another history of the same log: sound in itself, but for the chain', async () => {
    const log = await crashed()
    const histories = ['one', 'two'].map((name) => join(folder, `${name}.db`))
    for (const [at, history] of histories.entries()) {
      copyFileSync(path, history)
      cpSync(log, `${history}-wal`, { recursive: true })
      const options = { collections: [boats], segmentBytes: 16_384, checkpointLogBytes: 2 ** 40 }
      const db = await open(history, options)
      for (let id = 1000; id < 1200; id++) {
        await db.collection(boats).insert({ ...boatOf(id), berth: 10 + at })
      }
      cpSync(`${history}-wal`, `${history}-kept`, { recursive: true })
      copyFileSync(history, `${history}-main`)
      await db.close()
    }
    const [one, two] = histories
    copyFileSync(`${one}-main`, path)
    rmSync(log, { recursive: true })
    cpSync(`${one}-kept`, log, { recursive: true })
    expect(checkFile(path).findings).toEqual([])
    const last = segmentsOf(log).at(-1)!
    copyFileSync(join(`${two}-kept`, last), join(log, last))
    const found = checkFile(path).findings
    expect(found).toMatchObject([{ kind: 'log-chain', what: 'previous checksum' }])
    expect(found[0]).toMatchObject({ file: join(log, last), offset: 0 })
  })

  test('a missing segment in the middle, a missing log, another log', async () => {
    const log = await crashed()
    const [, second, third] = segmentsOf(log)
    rmSync(join(log, second!))
    const found = checkFile(path).findings
    expect(found.map(({ kind, file }) => ({ kind, file }))).toContainEqual({
      kind: 'log-chain',
      file: join(log, third!),
    })
    rmSync(log, { recursive: true })
    expect(checkFile(path).findings).toMatchObject([{ kind: 'log-chain', actual: 'missing' }])
  })
})

test('M7: pages made on purpose, with checksums that fit: the check ends, and says where', () => {
  const seed = Number(process.env['RINGBOLT_SEED'] ?? 1)
  const runs = Number(process.env['RINGBOLT_SEEDS'] ?? 60)
  let found = 0
  for (let run = seed; run < seed + runs; run++) {
    const random = new Random(run)
    copyFileSync(join(folder, 'sound.db'), path)
    for (let edits = random.between(1, 4); edits > 0; edits--) {
      const kit = new DamageKit(path)
      const kind = random.pick(Object.values(PageKind))
      const pages = kit.pagesOf(random.between(0, 3), kind)
      const page = pages.length > 0 ? random.pick(pages) : kit.directoryPage
      kit.edit(page, (words) => {
        // Not what the kit itself goes by.
        const word = random.chance(0.5) ? random.between(3, 40) : random.between(3, PAGE_WORDS - 1)
        words[word] = random.chance(0.5)
          ? random.below(2 ** 32)
          : words[word]! ^ (1 << random.below(32))
      })
    }
    const report = checkFile(path)
    found += report.findings.length > 0 ? 1 : 0
    for (const { file, message } of report.findings) {
      expect(file, `seed ${run}`).not.toBe('')
      expect(message, `seed ${run}`).not.toBe('')
    }
  }
  expect(found).toBeGreaterThan(runs / 3)
})

test('M7: a page that is sealed again as it was is sound', () => {
  const kit = new DamageKit(path)
  kit.edit(kit.pagesOf(TREE, PageKind.leaf)[5]!, () => undefined)
  expect(checkFile(path).findings).toEqual([])
})
