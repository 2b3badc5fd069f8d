/** `pnpm bench:peers`: the log next to lmdb-js and better-sqlite3. */
import { sideBySide } from './log-benchmarks.ts'
import { lmdb, ringbolt, sqlite } from './log-candidates.ts'
import { peersInstalled } from './peer-modules.ts'
import { runProgram } from './program.ts'

if (!peersInstalled()) {
  throw new Error('the peers are not installed: run `pnpm bench:peers` at the root')
}

const candidates = [
  ringbolt('ringbolt'),
  lmdb('lmdb-js, overlappingSync: false', 'synced'),
  lmdb('lmdb-js, default', 'before its flush'),
  sqlite('better-sqlite3, synchronous=FULL', 1),
  sqlite('better-sqlite3, 64 rows a transaction', 64),
]

const benchmarks = [
  sideBySide({ threads: 4, inFlight: 64, blocking: false }, candidates),
  sideBySide({ threads: 4, inFlight: 8, blocking: false }, candidates),
  sideBySide({ threads: 4, inFlight: 1, blocking: true }, candidates),
]

await runProgram('pnpm bench:peers', benchmarks, process.argv.slice(2), (text) => console.log(text))
