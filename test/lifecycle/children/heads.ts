/** Holds many half-sent heads, lets go of them, and tells how much memory is shared; see memory.test.ts. */
import { setImmediate as turn } from 'node:timers/promises';
import { WindhoverServer } from '../../../lib/server/windhover-server.js';
import { createApplication } from '../../../lib/server/server.js';
import { RawClient } from '../../support/raw-client.js';
import { until } from '../../support/until.js';

const COUNT = 300;
const SIZE = 200_000;

const server = new WindhoverServer({
  endpoints: [{ host: '127.0.0.1', port: 0 }],
  limits: { maxRequestHeadersTotalSize: 1_000_000 },
});
await server.start(createApplication(({ response }) => response.text('a')));
const port = Number(new URL(server.addresses[0]).port);

async function shared(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    await turn();
    (globalThis as unknown as { gc: () => void }).gc();
  }
  return process.memoryUsage().arrayBuffers;
}

async function hold(): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  const due = server.metrics().bytesReceived;
  const head = Buffer.from(`GET / HTTP/1.1\r\nHost: h\r\nX: ${'v'.repeat(SIZE)}`);
  for (let i = 0; i < COUNT; i++) {
    const client = await RawClient.connect(port);
    await client.write(head);
    clients.push(client);
  }
  await until(() => server.metrics().bytesReceived - due >= COUNT * head.length, 'all is read');
  return clients;
}

const before = await shared();
const rounds: { held: number; left: number }[] = [];
for (let round = 0; round < 3; round++) {
  const clients = await hold();
  const held = (await shared()) - before;
  if (round === 1) {
    for (const client of clients) {
      if ((await client.request('\r\n\r\n')).text !== 'a') throw new Error('a wrong answer');
    }
  }
  await Promise.all(clients.map((client) => client.reset()));
  await until(() => server.metrics().activeRequests === 0, 'all heads are given back');
  rounds.push({ held, left: (await shared()) - before });
}
console.log(JSON.stringify(rounds));
await server.stop();
