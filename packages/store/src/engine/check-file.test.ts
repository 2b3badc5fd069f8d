/** What `checkFile` finds, by deliberate damage of each kind. */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isRingboltError } from '@ringbolt/ring'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { defineCollection } from '../client/define-collection.ts'
import { encodeId, encodeIndexKey } from '../document/keys.ts'
import { PAGE_BYTES } from '../page/page.ts'
import type { CommandBuilder } from '../sequencer/command.ts'
import { FreeListWriter } from '../space/free-list.ts'
import { MainFile } from '../space/main-file.ts'
import { PageUse, PageUses } from '../space/page-uses.ts'
import { checkFile } from './check-file.ts'
import { fileFolders } from './file-folders.ts'
import { open } from './open.ts'
import { commitPast } from './testing/commit-past.ts'

interface Boat {
  readonly id: number
  readonly name: string
  readonly berth: number
  readonly flags: readonly string[]
}

const boats = defineCollection<Boat>()({
  name: 'boats',
  version: 1,
  indexes: {
    name: { on: 'name', unique: true },
    berth: { on: 'berth' },
    flags: { on: 'flags', each: true },
  },
})

const BOATS = 300

/** A sound file with all kinds of pages, long values and freed pages among them. */
let sound: Buffer
let folder: string
let path: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-check-'))
  const db = await open(join(folder, 'sound.db'), { collections: [boats] })
  const collection = db.collection(boats)
  for (let id = 1; id <= BOATS; id++) {
    const name = `boat ${id}${id === 7 ? 'x'.repeat(500) : ''}`
    const flags = id === 9 ? Array.from({ length: 3000 }, () => 'long') : [`f${id % 5}`, 'all']
    collection.sync.insert({ id, name, berth: id % 40, flags })
  }
  for (let id = 200; id <= BOATS; id += 2) collection.sync.delete(id)
  await db.checkpoint()
  collection.sync.update(7, (boat) => ({ ...boat, berth: 3 }))
  await db.close()
  sound = readFileSync(join(folder, 'sound.db'))
})

afterAll(() => rmSync(folder, { recursive: true }))

beforeEach(() => {
  path = join(folder, 'app.db')
  writeFileSync(path, sound)
})

afterEach(() => rmSync(path))

async function commit(fill: (command: CommandBuilder, trees: Trees) => void): Promise<void> {
  await commitPast(path, (command, { tree: primary, indexes: [name, berth] }) =>
    fill(command, { primary, name: name!.tree, berth: berth!.tree }),
  )
}

interface Trees {
  readonly primary: number
  readonly name: number
  readonly berth: number
}

/** What was found, without the place. */
function problems(): string[] {
  return checkFile(path).findings.map(({ message }) =>
    message.replace(/^.*? at byte \d+: (page \d+: )?/, ''),
  )
}

function withMain(change: (main: MainFile) => void): void {
  const { main, mainName } = fileFolders(path, false)
  const file = MainFile.open(main, mainName)
  try {
    change(file)
  } finally {
    file.close()
  }
}

test('M7: a sound file: nothing is found', () => {
  expect(checkFile(path).findings).toEqual([])
})

test('M7: a byte changed in any page that is read: found, and by a typed error when nothing can be read', () => {
  const silent: number[] = []
  const uses = usesOfPages()
  for (let page = 2; page * PAGE_BYTES < sound.length; page++) {
    const damaged = Buffer.from(sound)
    damaged[page * PAGE_BYTES + ((page * 977) % PAGE_BYTES)]! ^= 0x20
    writeFileSync(path, damaged)
    if (!isFound()) silent.push(page)
  }
  expect(silent.filter((page) => !uses.has(page, PageUse.free))).toEqual([])
})

/** Without what the trees reach. */
function usesOfPages(): PageUses {
  const { main, mainName } = fileFolders(path, true)
  const file = MainFile.open(main, mainName, { readOnly: true })
  const uses = new PageUses(file)
  file.close()
  return uses
}

function isFound(): boolean {
  try {
    return checkFile(path).findings.length > 0
  } catch (error) {
    if (isRingboltError(error)) return true
    throw error
  }
}

describe('M7: pages', () => {
  test('one that nothing refers to', () => {
    withMain((main) => {
      const { pageCount } = main.meta
      main.putMeta({ pageCount: pageCount + 1 })
      truncateSync(path, (pageCount + 1) * PAGE_BYTES)
    })
    expect(checkFile(path).findings).toMatchObject([
      { kind: 'orphan-page', pageId: sound.length / PAGE_BYTES },
    ])
  })

  test('one that is in use, and free', () => {
    const uses = usesOfPages()
    let taken = 2
    withMain((main) => {
      const { pageCount, directory } = main.meta
      const roots = new Set(directory.map(({ pageId }) => pageId))
      while (uses.has(taken, PageUse.free) || roots.has(taken)) taken++
      const list = new FreeListWriter(main.pages, Uint32Array.of(taken, 1), [pageCount])
      list.write(1)
      main.putMeta({ pageCount: pageCount + 1, freeCount: 1, freeList: list.reference })
    })
    expect(problems()).toContain('is reached by the trees and free')
  })
})

describe('M7: documents and indexes', () => {
  test('an entry is missing', async () => {
    await commit((command, { berth }) => command.delete(berth, encodeIndexKey([5], 5)))
    expect(problems()).toEqual(['index boats.berth: no entry of document 5'])
  })

  test('an entry without a document', async () => {
    await commit((command, { berth }) =>
      command.put(berth, encodeIndexKey([5], 777), new Uint8Array(0)),
    )
    expect(problems()).toEqual(['index boats.berth: an entry of document 777, which is not there'])
  })

  test('an entry that its document does not have', async () => {
    await commit((command, { berth }) =>
      command.put(berth, encodeIndexKey([6], 5), new Uint8Array(0)),
    )
    expect(problems()).toEqual(['index boats.berth: an entry that document 5 does not have'])
  })

  test('a unique value that leads to another document', async () => {
    await commit((command, { name }) => command.put(name, encodeIndexKey(['boat 5']), encodeId(6)))
    expect(problems()).toEqual([
      "index boats.name: the entry of document 5 is another's",
      'index boats.name: an entry that document 6 does not have',
    ])
  })

  test('a document that was deleted without its entries', async () => {
    await commit((command, { primary }) => command.delete(primary, encodeId(5)))
    expect(problems().map((line) => line.replace(/^index boats\.\w+: /, ''))).toEqual(
      Array.from({ length: 4 }, () => 'an entry of document 5, which is not there'),
    )
  })

  test('a document that cannot be read', async () => {
    await commit((command, { primary }) => command.put(primary, encodeId(5), Uint8Array.of(255, 1)))
    expect(problems()[0]).toMatch(/^document 5 of boats: /)
  })

  test("a tree that is nobody's", async () => {
    await commit((command) => command.createTree(1999, 9))
    expect(problems()).toEqual(["tree 1999: nobody's"])
  })
})

test('findings are bounded in number', async () => {
  await commit((command, { berth }) => {
    for (let id = 1000; id < 4000; id++)
      command.put(berth, encodeIndexKey([5], id), new Uint8Array(0))
  })
  const { findings, notes } = checkFile(path)
  expect(findings).toHaveLength(1000)
  expect(notes).toEqual(['2000 more findings are not listed'])
})
