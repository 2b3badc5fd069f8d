import { openOwner } from '../engine/store-owner.ts'
import { describeStore } from './testing/store-suite.ts'

describeStore('over the engine', async () => {
  const owner = await openOwner(':memory:', { cacheBytes: 320 * 1024 * 1024 })
  return { engine: owner.attachment.engine, close: () => owner.close() }
})
