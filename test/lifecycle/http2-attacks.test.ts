/**
 * Hostile clients of HTTP/2, one after the other: each ends by its limit with the right code, is counted,
 * takes bounded memory, and others are served meanwhile.
 */
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { H2Client } from '../support/h2-client.js';
import { Attacker } from '../support/h2/attacker.js';
import type { Http2Attack } from '../support/h2/attacks.js';
import { http2Attacks } from '../support/h2/attacks.js';
import { isSanitized } from '../support/programs.js';
import { until } from '../support/until.js';

const program = fileURLToPath(new URL('../../../bench/attacks/server.mjs', import.meta.url));

/** What one connection may make the server need, with what the requests of others leave to be collected. */
const MOST_BYTES = 60_000_000;

interface Ports {
  readonly http2Port: number;
  readonly tlsPort: number;
}

interface Look {
  readonly rss: number;
  readonly peak: number;
  readonly http2Floods: Readonly<Record<string, number>>;
  readonly timeouts: Readonly<Record<string, number>>;
}

async function start(t: ExecutionContext): Promise<{ child: ChildProcess; ports: Ports }> {
  const child = fork(program);
  t.teardown(() => {
    child.disconnect();
  });
  const [ports] = (await once(child, 'message')) as [Ports];
  return { child, ports };
}

async function look(child: ChildProcess): Promise<Look> {
  const answer = once(child, 'message');
  child.send('look');
  return ((await answer) as [Look])[0];
}

/** A client that does nothing wrong; returns what ends it, and tells how long its requests took (ms). */
async function serveOthers(port: number): Promise<() => Promise<number[]>> {
  const client = await H2Client.open({ port });
  const times: number[] = [];
  let on = true;
  const work = (async () => {
    while (on) {
      const began = performance.now();
      const { status, text } = await client.fetch(client.get());
      if (status !== 200 || text !== 'Hello') throw new Error(`${String(status)} ${text}`);
      times.push(performance.now() - began);
      client.seen.length = 0;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  work.catch(() => undefined);
  return async () => {
    on = false;
    await work;
    client.destroy();
    return times.sort((a, b) => a - b);
  };
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Keeps the attacker from flooding for longer than the attack has. */
async function carryOut(attack: Http2Attack, { http2Port, tlsPort }: Ports): Promise<Attacker> {
  const port = attack.beforeTls === true ? tlsPort : http2Port;
  const attacker = await Attacker.open({ port, ...attack.options });
  const work = Promise.resolve(attack.start(attacker));
  await attacker.end(attack.seconds * (isSanitized ? 10 : 4) * 1000);
  await work;
  return attacker;
}

for (const attack of http2Attacks) {
  test.serial(attack.name, async (t) => {
    const { child, ports } = await start(t);
    const finish = await serveOthers(ports.http2Port);
    const before = await look(child);
    const began = performance.now();
    const attacker = await carryOut(attack, ports);
    const seconds = (performance.now() - began) / 1000;
    const others = await finish();
    const after = await look(child);
    t.log(`sent ${attack.sends}: ${megabytes(attacker.bytesSent)} MB in ${seconds.toFixed(1)} s`);
    t.log(`came back: ${attacker.answers}`);
    t.log(
      `server: ${megabytes(before.rss)} MB before, ${megabytes(after.peak)} MB at most; ` +
        `others: ${String(others.length)} requests, p99 ${others[Math.floor(others.length * 0.99)].toFixed(1)} ms`,
    );
    t.true(attack.ends.includes(attacker.outcome), attacker.outcome);
    t.true(others.length > 0);
    const { flood, timeout } = attack;
    if (flood !== undefined) t.is(after.http2Floods[flood], 1, JSON.stringify(after.http2Floods));
    if (timeout !== undefined) {
      t.true(after.timeouts[timeout] > 0, JSON.stringify(after.timeouts));
    }
    const all = Object.values(after.http2Floods).reduce((sum, count) => sum + count, 0);
    if (timeout !== undefined) t.is(all, 0, JSON.stringify(after.http2Floods));
    if (!isSanitized) {
      const more = after.peak - before.rss;
      t.true(more < MOST_BYTES, `${megabytes(more)} MB more`);
    }
    await until(async () => (await look(child)).rss > 0, 'the server lives');
  });
}
