import { defineConfig } from 'vitest/config';

/** Debian's PgBouncer before a real PostgreSQL. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  test: {
    include: ['test/pgbouncer/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
  },
});
