// Unit tests need nothing but Node. Integration tests share one stack, started once; chaos tests start their own.
import { defineConfig } from 'vitest/config';

const onStack = ['test/integration/**/*.test.ts', 'test/authz/**/*.test.ts', 'test/chaos/**/*.test.ts'];

export default defineConfig({
  test: {
    pool: 'forks',
    // Tests mostly wait: for a lease to run out, for a process to come back. Three at a time keep two cores busy.
    maxWorkers: 3,
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: onStack } },
      {
        extends: true,
        test: {
          name: 'integration',
          include: onStack,
          globalSetup: ['test/support/stack.ts'],
          // Bounds of half a second are part of what is promised. A shared machine that stands still for longer is not our fault.
          retry: process.env['CI'] ? 2 : 0,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          teardownTimeout: 60_000,
        },
      },
    ],
  },
});
