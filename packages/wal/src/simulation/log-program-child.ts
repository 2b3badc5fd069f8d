/** Runs the log program in a process of its own: node log-program-child.js FOLDER SEED. For tests. */
import { FileStore } from '../file-store.ts'
import { runLogProgram } from './log-program.ts'

const [folder, seed] = process.argv.slice(2)
if (folder === undefined) throw new TypeError('the folder is missing')
runLogProgram(new FileStore(folder, { createFolder: true }), Number(seed ?? 1), {
  onStart: () => process.stdout.write('start\n'),
  onAcknowledge: () => process.stdout.write('acknowledge\n'),
})
