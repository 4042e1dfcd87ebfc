/** The server under attack: a process of its own, which tells its memory when asked. */

import { createApplication, WindhoverServer } from '../../dist/lib/index.js';
import { limits } from './attacks.mjs';

const piece = new Uint8Array(65_536);
const text = 'x'.repeat(1000);

/** @param {import('../../dist/lib/index.js').HttpContext} context */
async function handle({ request, response }) {
  switch (request.path) {
    case '/upload': {
      let bytes = 0;
      for await (const chunk of request.body) bytes += chunk.length;
      await response.text(String(bytes));
      return;
    }
    case '/large':
      while (!request.aborted.aborted) await response.write(piece);
      return;
    case '/text':
      await response.text(text);
      return;
    default:
      await response.text('Hello');
  }
}

const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }], limits });
await server.start(createApplication(handle, { onError: () => undefined }));
process.on('message', (message) => {
  if (message !== 'look') return;
  const { connections, requests, refused } = server.metrics();
  process.send?.({ rss: process.memoryUsage.rss(), connections, requests, refused });
});
process.send?.({ port: Number(new URL(server.addresses[0] ?? '').port) });
process.on('disconnect', () => process.exit(0));
