/** A server with a neighbour: an echo, and a timer that counts; see fairness.test.ts. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { WindhoverServer } from '../../../lib/server/windhover-server.js';
import { createApplication } from '../../../lib/server/server.js';

const [, , option, quiet] = process.argv;
const busyPoll = option === 'adaptive' ? option : option === 'false' ? false : Number(option);
const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }], busyPoll });
await server.start(
  createApplication(async ({ request, response }) => {
    const { length } = await request.body.bytes();
    await response.text(String(length));
  }),
);

let ticks = 0;
const begin = performance.now();
let echo = 0;
if (quiet === undefined) {
  const neighbour = createServer((socket) => {
    socket.pipe(socket);
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(neighbour, 'listening');
  echo = (neighbour.address() as AddressInfo).port;
  setInterval(() => ticks++, 10);
}
console.log(JSON.stringify({ port: Number(new URL(server.addresses[0]).port), echo }));

createInterface(process.stdin).on('line', (line) => {
  if (line === 'report') {
    const { requests } = server.metrics();
    console.log(JSON.stringify({ requests, ticks, elapsed: performance.now() - begin }));
    return;
  }
  void delay(0).then(async () => {
    const before = process.cpuUsage();
    await delay(1000);
    const { user, system } = process.cpuUsage(before);
    console.log(JSON.stringify({ micros: user + system }));
  });
});
