import { defineConfig } from 'vitest/config'

const RETRIES = 0

export default defineConfig({
  test: {
    retry: RETRIES,
    // Behind the last: what the compatibility contract comes to.
    reporters: ['default', './test/support/contract-table.ts'],
    projects: [
      {
        test: {
          name: 'rooms',
          include: ['test/**/*.test.ts'],
          exclude: ['**/node_modules/**', 'test/e2e/**', 'test/browser/**', 'test/slow/**'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
          // The page is the built one.
          globalSetup: ['test/support/fresh-build.ts'],
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Most of their time these tests wait for processes that start and end.
          maxWorkers: 2,
          // Behind the rooms: what runs at once must agree on its workers, and without this `npm test` does not start.
          sequence: { groupOrder: 1 },
          // These tests run the built program.
          globalSetup: ['test/support/fresh-build.ts'],
        },
      },
    ],
  },
})
