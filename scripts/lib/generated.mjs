// Are the generated tables those that native/tables/*.txt make?
import { spawnSync } from 'node:child_process';
import { root } from './run.mjs';

/** One test: passed where nothing is stale. */
export function checkGenerated() {
  const { status } = spawnSync(process.execPath, ['native/tables/generate.mjs', '--check'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 };
}
