import { defineConfig } from 'vitest/config';

/** For the virtual machine of scripts/package-lab: one machine that the tests take through its life, in order. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  test: {
    include: ['test/package/*.vm.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 400_000,
    teardownTimeout: 30_000,
    pool: 'forks',
    bail: 1,
  },
});
