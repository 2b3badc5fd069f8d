/** `pnpm bench:peers`: the log next to lmdb-js and better-sqlite3. */
import { peerBenchmarks } from './benchmarks.ts'
import { peersInstalled } from './peer-modules.ts'
import { runProgram } from './program.ts'

const args = process.argv.slice(2)
if (!peersInstalled()) {
  throw new Error('the peers are not installed: run `pnpm bench:peers` at the root')
}
await runProgram('pnpm bench:peers', peerBenchmarks, args, (text) => console.log(text))
