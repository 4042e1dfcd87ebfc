/** What happens when the process has no descriptors left. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { ServerMetrics } from '../../lib/server/windhover-server.js';
import type { Child } from '../support/child.js';
import { startChild } from '../support/child.js';
import { RawClient } from '../support/raw-client.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

interface Report {
  readonly url?: string;
  readonly paused?: string;
  readonly code?: string;
  readonly message?: string;
  readonly resumed?: number;
  readonly cpu?: number;
  readonly metrics?: ServerMetrics;
}

async function hear(child: Child): Promise<Report> {
  return JSON.parse(await child.line()) as Report;
}

async function command(child: Child, text: string, told: Report[] = []): Promise<Report> {
  child.process.stdin?.write(`${text}\n`);
  for (;;) {
    const report = await hear(child);
    if (report.cpu !== undefined) return report;
    told.push(report);
  }
}

function startLimited(t: ExecutionContext): Child {
  return startChild(t, 'lifecycle/children/descriptors.js', {
    wrapper: ['prlimit', '--nofile=128:128'],
  });
}

test('without descriptors others are served, nothing spins, and it recovers by itself', async (t) => {
  const child = startLimited(t);
  const { url = '' } = await hear(child);
  const port = Number(new URL(url).port);
  const inside = await RawClient.connect(port);
  t.is((await inside.request(GET)).text, 'served');

  await command(child, 'occupy 0');
  const waiting = await Promise.all(Array.from({ length: 5 }, () => RawClient.connect(port)));
  t.teardown(() => {
    for (const client of [inside, ...waiting]) client.destroy();
  });
  for (const client of waiting) await client.write(GET);
  const told = [await hear(child)];
  t.is(told[0].paused, 'EMFILE');
  t.is(told[0].code, 'WH_ERR_ACCEPT_PAUSED');
  t.true(told[0].message?.includes('EMFILE'));

  // Half a second of it: the one inside is served, and hardly any time is spent.
  const before = await command(child, 'look', told);
  for (let i = 0; i < 10; i++) {
    t.is((await inside.request(GET)).text, 'served');
    await delay(50);
  }
  const after = await command(child, 'look', told);
  const spent = (after.cpu ?? 0) - (before.cpu ?? 0);
  t.true(spent < 250, `${String(spent)} ms of 500 were spent`);
  t.deepEqual(told.length, 1, 'it is told once');
  t.is(after.metrics?.acceptPauses, 1);
  t.is(after.metrics?.connections, 1);

  await command(child, 'free', told);
  for (const client of waiting) t.is((await client.answer()).text, 'served');
  const end = await command(child, 'look', told);
  t.is(end.metrics?.acceptPauses, 1);
  t.is(end.metrics?.connections, 6);
  t.is(told.length, 2);
  t.true((told[1].resumed ?? 0) >= 400, JSON.stringify(told[1]));
  child.process.stdin?.write('stop\n');
  t.is((await child.whenEnded()).code, 0);
});

test('a server without descriptors can be stopped', async (t) => {
  const child = startLimited(t);
  const { url = '' } = await hear(child);
  await command(child, 'occupy 0');
  const client = await RawClient.connect(Number(new URL(url).port));
  t.is((await hear(child)).paused, 'EMFILE');
  child.process.stdin?.write('stop\n');
  t.is((await child.whenEnded()).code, 0);
  await client.closed;
});
