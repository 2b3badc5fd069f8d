/** Files that are not what they should be: typed errors in plain words; never a wrong document, never a hang. */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import { isRingboltError } from '@ringbolt/ring'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Database as Documents } from '../client/database.ts'
import { testEnvironment } from '../client/testing/make-store.ts'
import { PAGE_BYTES, PAGE_KIND_BYTE, PageKind } from '../page/page.ts'
import { MainFile } from '../space/main-file.ts'
import { META_CHECKSUM_OFFSET, META_VERSION_OFFSET } from '../space/main-layout.ts'
import { sealPage } from '../space/page-file.ts'
import { PageUse, PageUses } from '../space/page-uses.ts'
import { forEachReference } from '../tree/references.ts'
import { Attachment } from './attachment.ts'
import { fileFolders } from './file-folders.ts'
import { open } from './open.ts'
import { settingsOf } from './options.ts'
import { StoreCore } from './store-core.ts'
import { blobs, notes, textOf } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'

const folderOf = testFolders('bad-files')
const MIB = 1024 * 1024
const OPTIONS = { collections: [notes, blobs], cacheBytes: 4 * MIB, segmentBytes: MIB }
const NOTES = 400
const TYPED = /^RINGBOLT_(CORRUPT|FOREIGN|VERSION)$/

let sound: Buffer
/** Of a database that was not closed. */
let unclean: string
let folder: string
let path: string

function bytesOf(id: number): Uint8Array {
  return new Uint8Array(id * 5000).fill(id)
}

beforeAll(async () => {
  const source = join(folderOf(), 'app.db')
  const db = await open(source, OPTIONS)
  const collection = db.collection(notes)
  await collection.insertMany(
    Array.from({ length: NOTES + 100 }, (_, at) => ({
      id: at + 1,
      writer: (at + 1) % 9,
      text: textOf(at + 1, 0, 120),
    })),
  )
  await db.checkpoint()
  for (let id = NOTES + 1; id <= NOTES + 100; id++) collection.sync.delete(id)
  for (let id = 1; id <= 4; id++)
    await db.collection(blobs).insert({ id: `${id}`, bytes: bytesOf(id) })
  await db.checkpoint()
  await collection.update(1, (note) => ({ ...note }))
  unclean = join(folderOf(), 'app.db')
  cpSync(source, unclean)
  cpSync(`${source}-wal`, `${unclean}-wal`, { recursive: true })
  await db.close()
  sound = readFileSync(source)
})

beforeEach(() => {
  folder = folderOf()
  path = join(folder, 'app.db')
})

afterEach(() => rmSync(folder, { recursive: true }))

/** Reads by every way; whatever comes back is right. @returns the codes of what was thrown */
function readAll(isJudged = true): Set<string> {
  const codes = new Set<string>()
  let core: StoreCore | undefined
  let attachment: Attachment | undefined
  const attempt = (read: () => void): void => {
    try {
      read()
    } catch (error) {
      if (isRingboltError(error)) codes.add(error.code)
      else if (isJudged || !(error instanceof Error && error.name === 'AssertionError')) throw error
    }
  }
  attempt(() => {
    core = StoreCore.open(
      fileFolders(path, true),
      settingsOf({ readOnly: true, cacheBytes: 2 * MIB }),
      {
        nowMs: () => 0,
        wallMs: () => 0,
        sleep: () => undefined,
        randomBytes: (count) => new Uint8Array(count),
      },
    )
    attachment = new Attachment({
      ...core.memory,
      mainPath: path,
      lockPath: undefined,
      readStalenessMs: 0,
      openedAtMs: 0,
    })
    const db = new Documents({ engine: attachment.engine, environment: testEnvironment() })
    const collection = db.collection(notes)
    for (let id = 1; id <= NOTES; id++) attempt(() => expectNote(collection.get(id), id))
    attempt(() => expect(collection.get(NOTES + 1)).toBeUndefined())
    for (let writer = 0; writer < 9; writer++) {
      attempt(() => {
        const found = [...collection.find({ writer })]
        for (const note of found) expectNote(note, note.id)
        expect(found.length).toBe(Math.floor((NOTES - writer) / 9) + (writer === 0 ? 0 : 1))
      })
    }
    attempt(() => expect([...collection.all()].length).toBe(NOTES))
    for (let id = 1; id <= 4; id++) {
      attempt(() => {
        const blob = db.collection(blobs).get(`${id}`)
        expect(Buffer.from(blob?.bytes ?? []).equals(bytesOf(id))).toBe(true)
      })
    }
  })
  attachment?.detach()
  attempt(() => core?.close())
  return codes
}

function expectNote(note: unknown, id: number): void {
  expect(note).toEqual({ id, writer: id % 9, text: textOf(id, 0, 120) })
}

function expectTyped(codes: Iterable<string>): void {
  for (const code of codes) expect(code).toMatch(TYPED)
}

async function openError(): Promise<{ code: string; message: string }> {
  try {
    const db = await open(path, { ...OPTIONS, crossProcessLock: false })
    await db.close()
  } catch (error) {
    if (!isRingboltError(error)) throw error
    return { code: error.code, message: error.message }
  }
  throw new Error('it opened')
}

test('a sound file: everything is read', () => {
  writeFileSync(path, sound)
  expect([...readAll()]).toEqual([])
})

test('a byte changed in each page, metas included: a typed error, or of no account; never a wrong document', () => {
  writeFileSync(path, sound)
  const { main, mainName } = fileFolders(path, true)
  const file = MainFile.open(main, mainName, { readOnly: true })
  const uses = new PageUses(file)
  file.close()
  const silent: number[] = []
  for (let page = 0; page * PAGE_BYTES < sound.length; page++) {
    for (const within of [(page * 977) % PAGE_BYTES, 20 + (page % 60)]) {
      const damaged = Buffer.from(sound)
      damaged[page * PAGE_BYTES + within]! ^= 1 << (page % 8)
      writeFileSync(path, damaged)
      const codes = readAll()
      expectTyped(codes)
      if (codes.size === 0) silent.push(page)
    }
  }
  const unread = (page: number): boolean => page < 2 || uses.has(page, PageUse.free)
  expect(silent.filter((page) => !unread(page))).toEqual([])
})

test('cut off anywhere: a typed error at open, and the file is left as it is', () => {
  const lengths = [0, 1, 100, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, 2 * PAGE_BYTES]
  for (let at = 3 * PAGE_BYTES; at < sound.length; at += PAGE_BYTES) lengths.push(at, at - 1)
  for (const length of lengths) {
    const cut = sound.subarray(0, length)
    writeFileSync(path, cut)
    const codes = readAll()
    expect([length, codes.size]).toEqual([length, 1])
    expectTyped(codes)
    expect(readFileSync(path).equals(cut)).toBe(true)
  }
})

describe('at open, for writing', () => {
  test.each([
    ['empty', () => Buffer.alloc(0), 'RINGBOLT_FOREIGN'],
    ['zeros', () => Buffer.alloc(5 * PAGE_BYTES), 'RINGBOLT_FOREIGN'],
    ['a text', () => Buffer.from('id;name\n1;one\n'.repeat(3000)), 'RINGBOLT_FOREIGN'],
    [
      "another's database",
      () => Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(40_000, 7)]),
      'RINGBOLT_FOREIGN',
    ],
    ['a newer version', newerVersion, 'RINGBOLT_VERSION'],
    [
      'a length that no page ends at',
      () => sound.subarray(0, sound.length - 7),
      'RINGBOLT_CORRUPT',
    ],
  ] as const)('%s: refused, and nothing is changed', async (_, make, code) => {
    const content = make()
    writeFileSync(path, content)
    const error = await openError()
    expect(error.code).toBe(code)
    expect(error.message).toContain('app.db')
    expect(readFileSync(path).equals(content)).toBe(true)
    expect(readdirSync(folder)).toEqual(['app.db'])
  })

  test('a folder: refused', async () => {
    mkdirSync(path)
    expect((await openError()).code).toMatch(/^RINGBOLT_/)
    expect(readdirSync(path)).toEqual([])
  })

  test('a symbolic link: refused, since the file would have two locks and two logs', async () => {
    const target = join(folderOf(), 'target.db')
    writeFileSync(target, sound)
    symlinkSync(target, path)
    expect((await openError()).code).toMatch(/^RINGBOLT_/)
    expect(readFileSync(target).equals(sound)).toBe(true)
    expect(readdirSync(folder)).toEqual(['app.db'])
  })
})

function newerVersion(): Buffer {
  const content = Buffer.from(sound)
  for (const slot of [0, 1]) {
    const meta = content.subarray(slot * PAGE_BYTES, (slot + 1) * PAGE_BYTES)
    meta.writeUInt32LE(2, META_VERSION_OFFSET)
    meta.writeUInt32LE(crc32c(meta.subarray(META_VERSION_OFFSET)), META_CHECKSUM_OFFSET)
  }
  return content
}

describe('the log of a database that was not closed', () => {
  beforeEach(() => cpSync(unclean, path))

  const putLog = (from: string): void => cpSync(`${from}-wal`, `${path}-wal`, { recursive: true })

  test('in place: everything is there', () => {
    putLog(unclean)
    expect([...readAll()]).toEqual([])
  })

  test('missing: refused', async () => {
    const error = await openError()
    expect(error.code).toBe('RINGBOLT_CORRUPT')
    expect(error.message).toMatch(/log is missing/)
    mkdirSync(`${path}-wal`)
    expect((await openError()).code).toBe('RINGBOLT_CORRUPT')
    expect(readFileSync(path).equals(readFileSync(unclean))).toBe(true)
  })

  test("another database's: refused", async () => {
    const other = join(folderOf(), 'other.db')
    const db = await open(other, OPTIONS)
    await db.collection(notes).insert({ writer: 1, text: 'another' })
    putLog(other)
    await db.close()
    const before = readdirSync(`${path}-wal`)
    expect((await openError()).code).toMatch(/^RINGBOLT_/)
    expect(readdirSync(`${path}-wal`)).toEqual(before)
    // Beside a database that was closed cleanly it is nobody's to remove, either.
    writeFileSync(path, sound)
    expect((await openError()).code).toMatch(/^RINGBOLT_/)
    expect(readdirSync(`${path}-wal`)).toEqual(before)
  })

  test('with a byte changed in what was durable: refused, or the change is of no account', async () => {
    putLog(unclean)
    const segment = join(
      `${path}-wal`,
      readdirSync(`${path}-wal`).find((name) => name.endsWith('.seg')) ?? '',
    )
    const content = readFileSync(segment)
    for (let at = 0; at < 4096; at += 61) {
      const damaged = Buffer.from(content)
      damaged[at]! ^= 0x10
      writeFileSync(segment, damaged)
      expectTyped(readAll())
    }
  })
})

/** Damage with right checksums: only somebody who means it makes that. */
describe('made on purpose', () => {
  /** Changes the root page of a tree whose root is of that kind. @returns whether there was one */
  function changeRoot(
    kind: number,
    change: (page: Buffer, words: Uint32Array, pageId: number) => void,
  ): boolean {
    writeFileSync(path, sound)
    const { main, mainName } = fileFolders(path, false)
    const file = MainFile.open(main, mainName)
    const page = (pageId: number, checksum: number): [Buffer, Uint32Array] => {
      const words = new Uint32Array(PAGE_BYTES / 4)
      const bytes = Buffer.from(words.buffer)
      file.pages.readPage(pageId, checksum, bytes)
      return [bytes, words]
    }
    let changed = false
    const directory = file.meta.directory.map((reference, slot) => {
      if (slot > 0 || reference.pageId === 0) return reference
      const [bytes, words] = page(reference.pageId, reference.checksum)
      const roots: number[] = []
      forEachReference(bytes, words, 0, (word) => roots.push(word))
      for (const word of roots) {
        const [rootBytes, rootWords] = page(words[word]!, words[word + 1]!)
        if (rootBytes[PAGE_KIND_BYTE] !== kind) continue
        change(rootBytes, rootWords, words[word]!)
        words[word + 1] = sealPage(rootBytes)
        file.pages.writePage(words[word]!, rootBytes)
        changed = true
      }
      const checksum = sealPage(bytes)
      file.pages.writePage(reference.pageId, bytes)
      return { ...reference, checksum }
    })
    file.putMeta({ directory })
    file.close()
    return changed
  }

  test('branches whose children are themselves: a typed error, no hang', () => {
    const changed = changeRoot(PageKind.branch, (bytes, words, pageId) => {
      forEachReference(bytes, words, 0, (word) => {
        words[word] = pageId
        words[word + 1] = 0
      })
    })
    expect(changed).toBe(true)
    expect([...readAll()]).toEqual(['RINGBOLT_CORRUPT'])
  })

  test('values whose pages go round in a circle: a typed error, no hang', () => {
    const changed = changeRoot(PageKind.leaf, (leafBytes, leafWords) => {
      forEachReference(leafBytes, leafWords, 0, (word) => {
        const { main, mainName } = fileFolders(path, false)
        const file = main.open(mainName)
        const words = new Uint32Array(PAGE_BYTES / 4)
        const bytes = Buffer.from(words.buffer)
        const position = leafWords[word]! * PAGE_BYTES
        file.readAt(position, bytes)
        forEachReference(bytes, words, 0, (next) => {
          words[next] = leafWords[word]!
          words[next + 1] = 0
        })
        leafWords[word + 1] = sealPage(bytes)
        file.writeAt(position, [bytes])
        file.close()
      })
    })
    expect(changed).toBe(true)
    expect([...readAll()]).toEqual(['RINGBOLT_CORRUPT'])
  })

  test('pages of numbers by chance, in branches and leaves: typed errors only', () => {
    for (const kind of [PageKind.branch, PageKind.leaf]) {
      for (let seed = 1; seed <= 30; seed++) {
        let state = seed * 2_654_435_761
        changeRoot(kind, (bytes) => {
          for (let count = 0; count < 1 + (seed % 4); count++) {
            state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
            const at = 20 + ((state >>> 8) % (seed % 2 === 0 ? 200 : PAGE_BYTES - 20))
            bytes[at] = state >>> 24
          }
        })
        // A document, or the catalog, may be another where somebody has made another of it.
        readAll(false)
      }
    }
  })
})
