import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { startChild } from '../support/child.js';
import { until } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

test('memory that large heads took is given back when they are gone', async (t) => {
  const child = startChild(t, 'lifecycle/children/heads.js', { execArgv: ['--expose-gc'] });
  const { code, output, errors } = await child.whenEnded();
  t.is(code, 0, errors);
  const rounds = JSON.parse(output[0]) as { held: number; left: number }[];
  t.log(JSON.stringify(rounds));
  for (const { held, left } of rounds) {
    t.true(held > 60_000_000, `${String(held)} bytes held`);
    t.true(left < 8_000_000, `${String(left)} bytes left`);
  }
});

test('twenty thousand requests at once, each with its own answer', async (t) => {
  const CONNECTIONS = 320;
  const EACH = 64;
  let running = 0;
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { connect } = await startServer(t, async ({ request, response }) => {
    running++;
    await gate;
    if (running % 3 === 0) await delay(0);
    running--;
    await response.text(`${request.path} ${request.headers.get('X-Own') ?? ''}`);
  });
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => connect()));
  clients.forEach((client, n) => {
    let bytes = '';
    for (let i = 0; i < EACH; i++) {
      bytes += `GET /${String(n)}/${String(i)} HTTP/1.1\r\nHost: h\r\nX-Own: ${String(n * i)}\r\n\r\n`;
    }
    void client.write(bytes);
  });
  await until(() => running === CONNECTIONS * EACH, 'all of them run');
  release();
  await Promise.all(
    clients.map(async (client, n) => {
      for (let i = 0; i < EACH; i++) {
        const { text } = await client.answer();
        if (text !== `/${String(n)}/${String(i)} ${String(n * i)}`) t.fail(text);
      }
    }),
  );
  t.is(running, 0);
});
