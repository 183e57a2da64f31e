import { defineConfig } from 'vitest/config'

/** Suites that need more than npm itself: Python, a Redis server, Go, openssl, Chromium, or the registry for an installation. */
const MORE = [
  '**/*.python.test.ts',
  '**/*.redis.test.ts',
  '**/*.packed.test.ts',
  '**/*.go.test.ts',
  '**/*.agents.test.ts',
  '**/*.chromium.test.ts',
  '**/*.openssl.test.ts',
]
const more = process.env['MORE_TESTS'] === '1'

export default defineConfig({
  test: {
    include: more ? MORE : ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', ...(more ? [] : MORE)],
    setupFiles: ['test/support/umask.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
