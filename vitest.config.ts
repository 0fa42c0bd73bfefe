import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    include: ['test/**/*.test.ts'],
    // Half of a test with a real peer is waiting for it: two files at once take two thirds of the time on two cores.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Real processes (swtpm, Mosquitto, whole simulations) start slowly on a loaded two-core machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: { include: ['src/**', 'simulator/**'] },
  },
});
