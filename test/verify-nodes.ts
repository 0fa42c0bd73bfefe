/**
 * `npm run verify:nodes`: the same tests under Node 22 and 24. Their binaries come inside registry packages
 * (`node@22`, `node@24`), fetched by npx into its own cache; nothing is installed here.
 */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

const vitest = resolve(import.meta.dirname, '../node_modules/vitest/vitest.mjs');
let failed = false;
for (const version of ['22', '24']) {
  const node = ['--yes', '--package', `node@${version}`, '--', 'node'];
  const found = spawnSync('npx', [...node, '--version'], { encoding: 'utf8' });
  if (found.status !== 0) {
    console.error(
      `verify:nodes: Node ${version} is not to be had: ${found.stderr.trim().split('\n').at(-1)}`,
    );
    failed = true;
    continue;
  }
  console.error(`verify:nodes: the tests under ${found.stdout.trim()}`);
  if (spawnSync('npx', [...node, vitest, 'run'], { stdio: 'inherit' }).status !== 0) failed = true;
}
process.exitCode = failed ? 1 : 0;
