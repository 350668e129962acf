import { defineConfig } from 'vitest/config';

/** What needs root or minutes: the suites share disk and cores, so one file at a time. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  test: {
    include: ['test/crash/*.test.ts'],
    exclude: ['test/**/*.lab.test.ts'],
    env: {
      DOCK_CRASH_KILLS: process.env['DOCK_CRASH_KILLS'] ?? '200',
      DOCK_CRASH_CUTS: process.env['DOCK_CRASH_CUTS'] ?? '20',
    },
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    fileParallelism: false,
    maxConcurrency: 2,
  },
});
