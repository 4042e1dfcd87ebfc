/** A process that is told to end under load loses no request, on new and on reused connections. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NetConnectOpts } from 'node:net';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { startChild } from '../support/child.js';
import { StopLoad, stopRequests } from '../support/stop-load.js';
import { until, within } from '../support/until.js';

/** How often each is done; more where somebody wants to be sure. */
const ROUNDS = Number(process.env['WH_STOP_ROUNDS'] ?? 2);

const folder = mkdtempSync(join(tmpdir(), 'windhover-stop-'));

test.after.always('remove the folder', () => {
  rmSync(folder, { recursive: true, force: true });
});

for (const kind of Object.keys(stopRequests) as (keyof typeof stopRequests)[]) {
  for (const where of ['TCP', 'a Unix socket'] as const) {
    test.serial(`SIGTERM under load on ${where} loses nothing (${kind})`, async (t) => {
      for (let round = 0; round < ROUNDS; round++) await stopUnderLoad(t, kind, where);
    });
  }
}

async function stopUnderLoad(
  t: ExecutionContext,
  kind: keyof typeof stopRequests,
  where: 'TCP' | 'a Unix socket',
): Promise<void> {
  const path = join(folder, `${kind}.sock`);
  const url = where === 'TCP' ? 'http://127.0.0.1:0' : `http://unix:${path}`;
  const child = startChild(t, 'lifecycle/children/stop.js', { args: [url] });
  const line = await within(child.line(), 'the address');
  const port = /:(\d+)$/.exec(line)?.[1];
  const target: NetConnectOpts =
    where === 'TCP' ? { host: '127.0.0.1', port: Number(port) } : { path };
  const request = stopRequests[kind];
  const load = new StopLoad({ target, request, kept: 32, pipelining: 8, fresh: 8 });
  const { counts } = load;
  // Not always at the same moment of a batch.
  const enough = (kind === 'slow' ? 200 : 2000) + Math.floor(Math.random() * 300);
  await until(() => counts.answered >= enough, 'there is load');
  child.process.kill('SIGTERM');
  await within(load.done, 'the clients');
  const { code, errors } = await child.whenEnded();
  t.deepEqual(
    { code, errors, lost: counts.lostOnReused + counts.lostOnFresh, wrong: counts.wrong },
    { code: 0, errors: '', lost: 0, wrong: 0 },
    JSON.stringify(counts),
  );
  // Each kept connection was ended by an answer, not under its client.
  t.is(counts.closes, 32);
}
