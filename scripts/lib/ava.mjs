// The TypeScript tests: ava runs what tsc compiled. Its TAP lines are counted one by one, because the
// summary that it prints counts failures more than once.
import os from 'node:os';
import path from 'node:path';
import { noCounts } from './counts.mjs';
import { follow, root, which } from './run.mjs';

const AVA = path.join(root, 'node_modules/ava/entrypoints/cli.mjs');

/**
 * Runs ava and resolves with the counts.
 * @param options.unrandomised addresses are not randomised: ThreadSanitizer needs them where it looks
 */
export async function runAva({ args = [], env = process.env, unrandomised = false } = {}) {
  const counts = noCounts();
  let inFailure = false;
  const command = [process.execPath, AVA, '--tap', ...args];
  if (unrandomised && which('setarch')) command.unshift('setarch', os.machine(), '-R');
  const { code, signal } = await follow(
    command[0],
    command.slice(1),
    (line) => {
      const result = /^(not )?ok \d+ - (.*)$/.exec(line);
      if (result !== null) {
        const [, failed, title] = result;
        inFailure = failed !== undefined;
        if (failed !== undefined && / # TODO$/.test(title)) counts.skipped++;
        else if (failed !== undefined) counts.failed++;
        else if (/ # (SKIP|TODO)$/.test(title)) counts.skipped++;
        else counts.passed++;
      }
      if (/^# (tests|pass|fail|skip|todo)\b/.test(line) || /^(TAP version|1\.\.)/.test(line))
        return;
      // What tests print themselves comes as comments; passes are only counted.
      if (line !== '' && (inFailure || result === null)) console.log(`  ${line}`);
    },
    { env },
  );
  console.log(`  ava: ${counts.passed} passed, ${counts.failed} failed`);
  // A worker that crashed, an exit in the middle: whatever ava could not write as a test.
  if ((code !== 0 || signal !== null) && counts.failed === 0) counts.failed = 1;
  return counts;
}
