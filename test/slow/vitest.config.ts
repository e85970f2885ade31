// What is fetched to be tried with, and is too slow for `npm test`: `npm run interop`.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/slow/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    maxWorkers: 1,
    // The page in which a person logs in is the built one.
    globalSetup: ['test/support/fresh-build.ts'],
  },
})
