import test from 'ava';
import { descriptorLimit, forAll } from '../support/many.js';
import { isSanitized } from '../support/programs.js';
import { RawClient } from '../support/raw-client.js';
import { startChild } from '../support/child.js';
import { until } from '../support/until.js';

const COUNT = 10_000;
/** Descriptors that a process needs besides. */
const SPARE = 200;
const AT_ONCE = 250;

test('ten thousand kept-alive connections at once, each served twice', async (t) => {
  const limit = descriptorLimit();
  if (limit < COUNT + SPARE) {
    t.log(`skipped: a process may have ${String(limit)} descriptors only`);
    t.pass();
    return;
  }
  t.timeout(60_000);
  const child = startChild(t, 'lifecycle/children/many.js', { execArgv: ['--expose-gc'] });
  const port = Number(new URL(await child.line()).port);
  const report = async (): Promise<{ resident: number; connections: number; requests: number }> => {
    child.process.stdin?.write('report\n');
    return JSON.parse(await child.line()) as Awaited<ReturnType<typeof report>>;
  };
  const clients: RawClient[] = [];
  t.teardown(() => {
    for (const client of clients) client.destroy();
  });
  const serve = async (n: number, round: number): Promise<void> => {
    const own = `${String(n)} of ${String(round)}`;
    const answer = await clients[n].request(`GET / HTTP/1.1\r\nHost: h\r\nX-Own: ${own}\r\n\r\n`);
    if (answer.text !== own) throw new Error(`${answer.text} is not ${own}`);
  };

  const before = await report();
  const start = performance.now();
  await forAll(COUNT, AT_ONCE, async (n) => {
    clients[n] = await RawClient.connect(port);
  });
  await forAll(COUNT, AT_ONCE, (n) => serve(n, 1));
  const middle = await report();
  t.is(middle.connections, COUNT);
  t.is(middle.requests, COUNT);
  await forAll(COUNT, AT_ONCE, (n) => serve(n, 2));
  const elapsed = performance.now() - start;
  const after = await report();
  t.is(after.connections, COUNT);
  t.is(after.requests, 2 * COUNT);
  const each = (after.resident - before.resident) / COUNT;
  t.log(
    `${(elapsed / 1000).toFixed(1)} s; ${(after.resident / 1e6).toFixed(1)} MB in all, ` +
      `${each.toFixed(0)} bytes more for each connection`,
  );
  t.true(elapsed < 30_000, `${String(elapsed)} ms`);
  // Generous: the figure that counts is the benchmark's, which measures nothing else meanwhile.
  if (!isSanitized) t.true(each < 4000, String(each));

  for (const client of clients) client.destroy();
  await until(async () => (await report()).connections === 0, 'all connections are gone');
  child.process.stdin?.write('stop\n');
  t.is((await child.whenEnded()).code, 0);
});
