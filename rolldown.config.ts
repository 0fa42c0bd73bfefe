import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { defineConfig } from 'rolldown';

const stub = resolve(import.meta.dirname, 'src/cli/stub.mjs');
const only = (name: string) => resolve(import.meta.dirname, `src/cli/stub-${name}`);
const { version } = JSON.parse(readFileSync(resolve(import.meta.dirname, 'package.json'), 'utf8')) as {
  version: string;
};

/**
 * What a robot gets: one file. Aliases leave out what mqtt.js carries for browsers and proxies:
 * 116.6 KB of dependencies, gzipped, become 52.6.
 */
export default defineConfig({
  input: 'src/cli/agent.ts',
  platform: 'node',
  transform: { target: 'node20', define: { __VERSION__: JSON.stringify(version) } },
  resolve: {
    conditionNames: ['source', 'node', 'import', 'default'],
    alias: {
      mqtt: only('mqtt.mjs'),
      debug: only('debug.cjs'),
      '../../package.json': only('package.cjs'),
      'lru-cache': stub,
      ws: stub,
      socks: stub,
      'worker-timers': stub,
      'readable-stream': 'node:stream',
      buffer: 'node:buffer',
      events: 'node:events',
      process: 'node:process',
    },
  },
  output: { file: 'dist/agent.mjs', format: 'esm', minify: true, comments: false, codeSplitting: false },
});
