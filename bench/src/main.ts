/** `pnpm bench`: single steps, the ring alone, the log alone. Needs no peer. */
import { ownBenchmarks } from './benchmarks.ts'
import { runProgram } from './program.ts'

await runProgram('pnpm bench', ownBenchmarks, process.argv.slice(2), (text) => console.log(text))
