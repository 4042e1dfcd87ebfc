/** Slow and hostile clients of HTTP/1, all at once: each ends by its limit, and the server's memory stays bounded. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';

const program = fileURLToPath(new URL('../../../bench/attacks/run.mjs', import.meta.url));

/** What an attack came to; see bench/attacks/run.mjs. */
interface Report {
  readonly attack: string;
  readonly connections: number;
  readonly right: number;
  readonly ended: string;
  readonly 'memory MB': number;
  readonly 'most MB': number;
}

test.serial('every attack ends by its limit, and takes no more memory than that', async (t) => {
  t.timeout(150_000);
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, [
    program,
    '--together',
    '--protocol',
    'http1',
    '--json',
    '--connections',
    '4',
  ]).catch((error: unknown) => error as { stdout: string });
  const reports = JSON.parse(stdout) as Report[];
  t.true(reports.length >= 13);
  for (const { attack, right, connections, ended } of reports) {
    t.is(right, connections, `${attack}: ${ended}`);
  }
  const { 'memory MB': before, 'most MB': most } = reports[0];
  t.log(`${String(before)} MB before, ${String(most)} MB at most`);
  t.true(most - before < 200, `${String(before)} MB, then ${String(most)} MB`);
});
