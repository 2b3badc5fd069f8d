/** Runs the service until it is told to stop: `node dist/main.js [database] [port]`. */
import { createService } from './service.ts'

const [path = 'accounts.db', port = '3000'] = process.argv.slice(2)
const service = await createService({ path })
const address = await service.listen({ port: Number(port) })
process.stdout.write(`listening on ${address}, database ${path}\n`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void service.close()
  })
}
