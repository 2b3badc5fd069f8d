/**
 * Looks through the main file of a database that nobody has open for writing: is all of it sound, and does all of it
 * agree? Changes nothing; memory is bounded by the cache and some bytes for each page of the file.
 */
import { checkCollections } from '../client/check-collections.ts'
import { MainFile } from '../space/main-file.ts'
import { fileFolders, mainPathOf } from './file-folders.ts'
import { FileStructure } from './file-structure.ts'
import { FileView } from './file-view.ts'

const CACHE_BYTES = 32 * 1024 * 1024
/** What is wrong with one page may make thousands of others wrong. */
const FINDINGS_MAX = 1000

/**
 * The last checkpoint of a database: after a clean close, all of it.
 * @returns one line for each finding, a thousand at the most; none: it is sound
 * @throws the errors of main-file-errors.ts, and StoreCorruptError for a free list, when there is nothing to look at
 */
export function checkFile(path: string): readonly string[] {
  const { main, mainName } = fileFolders(mainPathOf(path), true)
  const file = MainFile.open(main, mainName, { readOnly: true })
  try {
    const findings: string[] = []
    for (const finding of findingsIn(file)) {
      findings.push(finding)
      if (findings.length === FINDINGS_MAX) break
    }
    return findings
  } finally {
    file.close()
  }
}

function* findingsIn(main: MainFile): Generator<string, void, undefined> {
  const structure = new FileStructure(main, CACHE_BYTES)
  let isSound = true
  for (const finding of structure.findings()) {
    isSound = false
    yield finding
  }
  // What cannot be read is missing in every index, too.
  if (!isSound) return
  const { source, directory } = structure
  yield* checkCollections(new FileView(source, directory, main.meta.sequence, main.place))
}
