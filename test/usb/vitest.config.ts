import { defineConfig } from 'vitest/config';

/** For the virtual machine of scripts/usb-lab: emulated, so slow, and with one USB stack that all tests share. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  cacheDir: '/tmp/vitest',
  test: {
    fsModuleCachePath: '/tmp/vitest-modules',
    include: ['test/**/*.lab.test.ts'],
    testTimeout: 240_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    // Starting a process for each file costs seconds here; what must not leak is in the kernel anyway.
    isolate: false,
  },
});
