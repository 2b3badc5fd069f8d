import { ModelEngine } from './testing/model-engine.ts'
import { describeStore } from './testing/store-suite.ts'

describeStore('over the model', async () => ({
  engine: new ModelEngine(),
  close: async () => undefined,
}))
