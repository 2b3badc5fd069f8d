/** The end of a run over processes: all have closed the database, and it is opened once more. */
import { checkFile, open } from 'ringbolt'
import { itemsOf } from '../documents/collection.ts'
import { DocumentOracle, type DocumentOracleResult } from '../documents/document-oracle.ts'
import { type DocumentSettings, lanesOf, openOptionsOf } from '../documents/document-settings.ts'

export interface Proof {
  readonly openMs: number
  readonly result: DocumentOracleResult
  /** What the walk of the closed file found, one line each. */
  readonly structure: readonly string[]
}

/** Opens the database, compares every document, closes it again and walks the file. */
export async function prove(
  settings: DocumentSettings,
  path: string,
  acknowledged: readonly number[],
): Promise<Proof> {
  const begunMs = performance.now()
  const db = await open(path, openOptionsOf(settings))
  const openMs = performance.now() - begunMs
  const oracle = new DocumentOracle(itemsOf(db), lanesOf(settings))
  const result = await oracle.prove(acknowledged)
  await db.close()
  return {
    openMs,
    result,
    structure: checkFile(path).findings.map(({ message }) => message),
  }
}
