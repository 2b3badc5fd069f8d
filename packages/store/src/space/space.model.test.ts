/** Readers, pins, publication, reclamation and eviction under the model checker: the shipped code. */

import { AtomicsMemory, type SharedMemory } from '@ringbolt/ring'
import { assertHolds, check, checkDeaths, type ThreadContext } from '@ringbolt/ring/model'
import { expect, test } from 'vitest'
import {
  BLOCK_PAGES,
  READER_ENTERED,
  type RegionLayout,
  readerWord,
  WORD_VERSION,
} from './layout.ts'
import { emptyDirectory, Published } from './published.ts'
import { freeReaders } from './reader-slots.ts'
import {
  FIRST_VERSION,
  ModelSequencer,
  modelSpace,
  NEW_PAGE,
  OLD_PAGE,
  OTHER_PAGE,
  readNewest,
  readRoot,
  spaceProgram,
  versionReader,
} from './testing/space-programs.ts'

function report(name: string, { executions, stepsTotal }: ReturnType<typeof check>): void {
  console.log(`${name}: ${executions} executions, ${stepsTotal} steps`)
}

/** Publishes a new root, frees the old one's page when nobody needs it, and uses its frame again. */
function publishAndReclaim({ memory }: ThreadContext): number {
  const sequencer = new ModelSequencer(memory)
  sequencer.replaceOldPage()
  sequencer.reclaim()
  let reused = sequencer.reuse()
  sequencer.reclaim()
  reused += sequencer.reuse()
  return reused
}

/** Evicts the only page, which stands in the file too, and uses its frame again. */
function evictAndReuse({ memory }: ThreadContext): number {
  const sequencer = new ModelSequencer(memory)
  sequencer.vacate(OLD_PAGE)
  return sequencer.reuse() + sequencer.reuse()
}

/** Takes a pin, lets go of it, reads through it. */
function readPinned({ memory }: ThreadContext): boolean {
  const space = modelSpace(memory)
  const reader = versionReader(space, 0)
  reader.enter()
  const pin = reader.pin()
  const { version } = reader
  const [page = 0] = reader.directory.pages
  reader.leave()
  const entered = reader.enterPinned(pin, version)
  if (entered) {
    readRoot(space, page, false)
    reader.leave()
  }
  reader.unpin(pin)
  return entered
}

test('S5: a reader finds every page of the version that it is at, beside publication and reclamation', () => {
  const result = check(
    spaceProgram({
      sequencer: publishAndReclaim,
      reader: ({ memory }) => readNewest(memory, 0, 2, false),
    }),
  )
  report('publish', result)
  assertHolds(result)
})

test('S5: and two readers do', () => {
  const result = check(
    spaceProgram({
      sequencer: publishAndReclaim,
      reader: ({ memory }) => readNewest(memory, 0, 1, false),
      other: ({ memory }) => readNewest(memory, 1, 1, false),
    }),
  )
  report('publish, two readers', result)
  assertHolds(result)
})

test('S5: a pinned version stays readable', () => {
  const result = check({
    ...spaceProgram({ sequencer: publishAndReclaim, reader: readPinned }),
    finish(_, { reader }) {
      if (reader !== true) throw new Error('the pin was lost')
    },
  })
  report('pin', result)
  assertHolds(result)
})

test('S5: a revoked pin is noticed, or its version is whole', () => {
  const outcomes = new Set<unknown>()
  const result = check({
    ...spaceProgram({
      sequencer({ memory }) {
        const sequencer = new ModelSequencer(memory)
        sequencer.replaceOldPage()
        sequencer.pins.revokeBefore(sequencer.version)
        sequencer.reclaim()
        return sequencer.reuse()
      },
      reader: readPinned,
    }),
    finish(_, { reader }) {
      outcomes.add(reader)
    },
  })
  report('revoke', result)
  assertHolds(result)
  expect(outcomes).toEqual(new Set([true, false]))
})

test('S10: a frame is filled again only when no reader can be looking at it', () => {
  const reused = new Set<unknown>()
  const result = check({
    ...spaceProgram({
      sequencer: evictAndReuse,
      reader: ({ memory }) => readNewest(memory, 0, 2, true),
      other: ({ memory }) => readNewest(memory, 1, 1, true),
    }),
    finish(_, { sequencer }) {
      reused.add(sequencer)
    },
  })
  report('evict', result)
  assertHolds(result)
  expect(reused).toEqual(new Set([0, 1]))
})

/** Leaves out the other references, which come and go as the first does: far fewer interleavings. */
class FirstReferenceOnly extends AtomicsMemory {
  readonly #memory: SharedMemory
  readonly #layout: RegionLayout

  constructor(memory: SharedMemory, layout: RegionLayout) {
    super(new SharedArrayBuffer(4))
    this.#memory = memory
    this.#layout = layout
  }

  override load(word: number): number {
    const { wordPublished, wordReaders } = this.#layout
    const isOther =
      word >= wordPublished && word < wordReaders && (word - wordPublished) % 32 > BLOCK_PAGES
    return isOther ? 0 : this.#memory.load(word)
  }
}

/** What the first versions show. */
const PAGES = [OLD_PAGE, NEW_PAGE, OTHER_PAGE]

test('S5: a reader that is lapped by the ring of published states never takes another state for its own', () => {
  const result = check(
    spaceProgram({
      sequencer({ memory }) {
        const sequencer = new ModelSequencer(memory)
        // There are two blocks: the third version takes the first one's.
        for (const page of PAGES.slice(1)) sequencer.publish(page)
        return sequencer.version
      },
      reader({ memory }) {
        const { layout } = modelSpace(memory)
        const published = new Published(new FirstReferenceOnly(memory, layout), layout)
        const directory = emptyDirectory()
        const { version } = published
        const isOwn = published.read(version, directory)
        if (isOwn && directory.pages[0] !== PAGES[version - FIRST_VERSION]) {
          throw new Error(`the state of ${version} is another's`)
        }
        return isOwn
      },
    }),
  )
  report('lapped', result)
  assertHolds(result)
})

test('S11: a reader may die anywhere: nothing it held is used before its death is told, all of it after', () => {
  const result = checkDeaths(
    {
      ...spaceProgram({
        sequencer(context) {
          const { memory } = context
          const sequencer = new ModelSequencer(memory)
          sequencer.replaceOldPage()
          sequencer.reclaim()
          let reused = sequencer.reuse()
          context.awaitDeath('reader')
          freeReaders(memory, sequencer.space.layout, 1)
          sequencer.reclaim()
          reused += sequencer.reuse()
          reused += sequencer.reuse()
          return reused
        },
        reader: readPinned,
      }),
      finish(memory, { sequencer }) {
        if (sequencer !== 1) throw new Error(`${String(sequencer)} frames came back, expected 1`)
        const { layout } = modelSpace(memory)
        const owners = [readerWord(layout, 0), layout.wordPinOwners, layout.wordPinOwners + 1]
        if (owners.some((word) => memory.load(word) !== 0))
          throw new Error('something is still owned')
      },
    },
    'reader',
  )
  report('deaths', result)
  assertHolds(result)
})

test('S5: the checker bites: pins looked at before slots', () => {
  const result = check(
    spaceProgram({
      sequencer({ memory }) {
        const sequencer = new ModelSequencer(memory)
        sequencer.replaceOldPage()
        const pinned: number[] = []
        sequencer.pins.forEach((version) => pinned.push(version))
        const inside = sequencer.slots.entered(0)
        if (pinned.length === 0 && inside === 0) sequencer.vacate(OLD_PAGE)
        return sequencer.reuse()
      },
      reader: readPinned,
    }),
  )
  expect(result.violation?.message).toMatch(/page 5 is gone/)
})

test('S5: the checker bites: a version that is not confirmed after the slot was set', () => {
  const result = check(
    spaceProgram({
      sequencer: publishAndReclaim,
      reader({ memory }) {
        const space = modelSpace(memory)
        const version = memory.load(WORD_VERSION)
        memory.store(readerWord(space.layout, 0) + READER_ENTERED, version)
        readRoot(space, version === FIRST_VERSION ? OLD_PAGE : NEW_PAGE, false)
        return version
      },
    }),
  )
  expect(result.violation?.message).toMatch(/page 5 is gone/)
})

test('S10: the checker bites: a frame that does not go through limbo', () => {
  const result = check(
    spaceProgram({
      sequencer({ memory }) {
        const { space } = new ModelSequencer(memory)
        space.table.remove(OLD_PAGE, 0)
        space.hold(NEW_PAGE, 0)
        return 0
      },
      reader: ({ memory }) => readNewest(memory, 0, 1, true),
    }),
  )
  expect(result.violation?.kind).toMatch(/race|property|exception/)
})
