/**
 * Hostile clients of HTTP/2, one after the other: each ends by its limit with the right code, is counted,
 * takes bounded memory, and others are served meanwhile.
 */
import test from 'ava';
import { H2Client } from '../support/h2-client.js';
import { Attacker } from '../support/h2/attacker.js';
import type { Http2Attack } from '../support/h2/attacks.js';
import { http2Attacks } from '../support/h2/attacks.js';
import type { Attacked } from '../support/h2/attacked.js';
import { megabytes, startAttacked } from '../support/h2/attacked.js';
import { isSanitized } from '../support/programs.js';

/** What one connection may make the server need, with what the requests of others leave to be collected. */
const MOST_BYTES = 60_000_000;

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

/** Keeps the attacker from flooding for longer than the attack has. */
async function carryOut(attack: Http2Attack, { http2Port, tlsPort }: Attacked): Promise<Attacker> {
  const port = attack.beforeTls === true ? tlsPort : http2Port;
  const attacker = await Attacker.open({ port, ...attack.options });
  const work = Promise.resolve(attack.start(attacker));
  await attacker.end(attack.seconds * (isSanitized ? 10 : 4) * 1000);
  await work;
  return attacker;
}

for (const attack of http2Attacks) {
  const { connections = 1, most = MOST_BYTES, flood, timeout } = attack;
  test.serial(attack.name, async (t) => {
    t.timeout(150_000);
    const server = await startAttacked(t);
    const finish = await serveOthers(server.http2Port);
    const before = await server.look();
    const began = performance.now();
    const attackers = await Promise.all(
      Array.from({ length: connections }, () => carryOut(attack, server)),
    );
    const seconds = (performance.now() - began) / 1000;
    const others = await finish();
    const after = await server.look();
    const sent = attackers.reduce((sum, { bytesSent }) => sum + bytesSent, 0);
    t.log(
      `sent ${connections > 1 ? `${String(connections)} × ` : ''}${attack.sends}: ` +
        `${megabytes(sent)} MB in ${seconds.toFixed(1)} s`,
    );
    t.log(`came back: ${attackers[0].answers}`);
    t.log(
      `server: ${megabytes(before.rss)} MB before, ${megabytes(after.peak)} MB at most; ` +
        `others: ${String(others.length)} requests, p99 ${others[Math.floor(others.length * 0.99)].toFixed(1)} ms`,
    );
    for (const { outcome } of attackers) t.true(attack.ends.includes(outcome), outcome);
    t.true(others.length > 0);
    const { http2Floods, timeouts } = after;
    const floods = Object.values(http2Floods).reduce((sum, count) => sum + count, 0);
    if (flood !== undefined) t.is(http2Floods[flood], connections, JSON.stringify(http2Floods));
    if (timeout !== undefined) {
      t.true(timeouts[timeout] >= connections, JSON.stringify(timeouts));
      t.is(floods, 0, JSON.stringify(http2Floods));
    }
    if (!isSanitized) {
      const more = after.peak - before.rss;
      t.true(more < most, `${megabytes(more)} MB more`);
    }
  });
}
