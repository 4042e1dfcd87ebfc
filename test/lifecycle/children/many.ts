/** A server that tells about itself when asked; see ten-thousand.test.ts. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { WindhoverServer } from '../../../lib/server/windhover-server.js';
import { createApplication } from '../../../lib/server/server.js';

const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }] });
await server.start(
  createApplication(({ request, response }) => response.text(request.headers.get('X-Own') ?? '')),
);
console.log(server.addresses[0]);

createInterface(process.stdin).on('line', (line) => {
  if (line === 'stop') {
    void server.stop().then(() => process.exit(0));
    return;
  }
  (globalThis as { gc?: () => void }).gc?.();
  const [, resident] = /VmRSS:\s*([0-9]+) kB/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  const { connections, requests } = server.metrics();
  console.log(JSON.stringify({ resident: Number(resident) * 1024, connections, requests }));
});
