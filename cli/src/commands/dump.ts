/** `ringbolt dump`: documents as lines of JSON. */
import { once } from 'node:events'
import type { Command } from 'commander'
import { type Database, open } from 'ringbolt'
import { assertDatabase } from '../existing-database.ts'
import { EXIT_HELP } from '../exit-codes.ts'
import { wholeNumber } from '../option-values.ts'
import { tagged } from '../tagged-json.ts'

interface DumpFlags {
  readonly collection?: string
  readonly limit: number
}

/** Lines put together before they are written. */
const CHUNK_CHARACTERS = 64 * 1024

export function addDump(program: Command): void {
  program
    .command('dump')
    .description('Documents as JSON, one a line: {"collection": …, "document": …}.')
    .argument('<file>', 'the database')
    .option('-c, --collection <name>', 'of this collection (default: of all)')
    .option('-n, --limit <n>', 'at most so many of each collection', wholeNumber, Infinity)
    .option('--json', 'accepted as everywhere: what is written is JSON anyway')
    .addHelpText(
      'after',
      `
What JSON does not have is tagged: {"$date": "2026-01-31T12:00:00.000Z"}, {"$bigint": "123"}, {"$bytes": "base64"},
{"$map": [[key, value]]}, {"$set": [value]}, {"$number": "NaN"}, {"$undefined": true}; an object of the document's own
with one such key is {"$object": {…}}. Documents are as they were stored, of whatever version, in the order of their
ids, all of one state. After a crash the log is applied, in memory only.
${EXIT_HELP}

Examples:
  $ ringbolt dump app.db --collection users --limit 10
  $ ringbolt dump app.db | jq -c 'select(.collection == "users") | .document.email'`,
    )
    .action(dump)
}

async function dump(file: string, { collection, limit }: DumpFlags): Promise<void> {
  assertDatabase(file)
  const db = await open(file, { readOnly: true })
  try {
    const names = collection === undefined ? db.collectionNames() : [collection]
    for (const name of names) await dumpOne(db, name, limit)
  } finally {
    await db.close()
  }
}

async function dumpOne(db: Database, collection: string, limit: number): Promise<void> {
  let chunk = ''
  let count = 0
  for (const { document } of db.storedDocuments(collection)) {
    if (count++ >= limit) break
    chunk += `${JSON.stringify({ collection, document: tagged(document) })}\n`
    if (chunk.length < CHUNK_CHARACTERS) continue
    await write(chunk)
    chunk = ''
  }
  await write(chunk)
}

async function write(text: string): Promise<void> {
  if (text !== '' && !process.stdout.write(text)) await once(process.stdout, 'drain')
}
