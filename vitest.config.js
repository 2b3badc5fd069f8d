import { defineConfig } from 'vitest/config'

// Tests run from the compiled output, since worker threads do: what is tested is what ships.
export default defineConfig({
  test: {
    include: ['{packages/*,examples/*,workers,stress,cli,bench}/dist/**/*.test.js'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    server: { deps: { external: [/\/dist\/(?!.*\.test\.js$)/] } },
  },
})
