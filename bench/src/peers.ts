/** `pnpm bench:peers`: Ringbolt next to lmdb-js, SQLite and LevelDB; its log next to the first two. */
import { logPeerBenchmarks } from './benchmarks.ts'
import { documentBenchmarks } from './documents/benchmarks.ts'
import { installedCandidates } from './documents/candidates.ts'
import { peersInstalled } from './peer-modules.ts'
import { runProgram } from './program.ts'

const args = process.argv.slice(2)
if (!peersInstalled()) {
  throw new Error(
    'the peers are not installed, or for another Node: remove bench/peers/node_modules, then run `pnpm bench:peers` at the root',
  )
}
const benchmarks = [...documentBenchmarks(await installedCandidates()), ...logPeerBenchmarks]
await runProgram('pnpm bench:peers', benchmarks, args, (text) => console.log(text))
