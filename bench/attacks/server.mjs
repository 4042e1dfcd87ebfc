/**
 * The server under attack: a process of its own, which tells its memory when asked. It listens for HTTP/1,
 * for HTTP/2 in cleartext, and for both over TLS. Argument: --default-limits, rather than short ones.
 */

import { createApplication, WindhoverServer } from '../../dist/lib/index.js';
import { serverCertificate } from '../../dist/test/support/certificates.js';
import { attackLimits } from '../../dist/test/support/h2/attacks.js';
import { limits } from './attacks.mjs';

const piece = new Uint8Array(65_536);
const text = 'x'.repeat(1000);
const wide = 'x'.repeat(8000);
const medium = new Uint8Array(200_000);

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
    case '/medium':
      // As an application that makes it would: a piece at a time.
      for (let at = 0; at < medium.length; at += 20_000) {
        await response.write(medium.slice(at, at + 20_000));
      }
      return;
    case '/shared':
      await response.bytes(medium);
      return;
    case '/hold':
      await new Promise((resolve) => {
        if (request.aborted.aborted) resolve(undefined);
        request.aborted.addEventListener('abort', resolve, { once: true });
      });
      return;
    case '/wide':
      response.statusCode = 204;
      response.headers.set('X-Wide', wide);
      return;
    case '/text':
      await response.text(text);
      return;
    default:
      await response.text('Hello');
  }
}

const host = '127.0.0.1';
const { cert, key } = serverCertificate();
const server = new WindhoverServer({
  endpoints: [
    { host, port: 0 },
    { host, port: 0, protocols: 'http2' },
    { host, port: 0, protocols: 'http1AndHttp2', https: { cert, key } },
  ],
  limits: process.argv.includes('--default-limits') ? {} : { ...limits, ...attackLimits },
});
await server.start(createApplication(handle, { onError: () => undefined }));
process.on('message', (message) => {
  if (message !== 'look') return;
  const { connections, requests, refused, timeouts, http2Floods } = server.metrics();
  process.send?.({
    rss: process.memoryUsage.rss(),
    // The most since the start.
    peak: process.resourceUsage().maxRSS * 1024,
    connections,
    requests,
    refused,
    timeouts,
    http2Floods,
  });
});
const [port, http2Port, tlsPort] = server.addresses.map((url) => Number(new URL(url).port));
process.send?.({ port, http2Port, tlsPort, cert });
process.on('disconnect', () => process.exit(0));
