import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // What needs more than npm ci has a runner of its own.
    exclude: [
      'test/**/*.lab.test.ts',
      'test/**/*.root.test.ts',
      'test/**/*.vm.test.ts',
      'test/mosquitto/**',
      'test/pgbouncer/**',
      'test/monitoring/**',
    ],
    // No assertion: what hangs is ended, what waits for a busy disk is not.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 50_000 } },
    pool: 'forks',
    // Most tests wait for a line or a process: five at a time take two cores 130 s, three 171 s.
    maxWorkers: Math.max(5, availableParallelism() - 1),
  },
});
