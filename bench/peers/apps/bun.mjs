/**
 * Bun.serve; its own router has the one route with a parameter. Arguments: port, route,
 * protocol (http, https, h2 or h2c), files of certificate and key.
 */

import {
  awaiting,
  compose,
  hello,
  idleMilliseconds,
  lookUp,
  makeLarge,
  readArguments,
} from './shared.mjs';

const { Bun } = /** @type {any} */ (globalThis);
const { port, protocol, cert, key } = readArguments(process.argv.slice(2));
const large = makeLarge();
const text = { headers: { 'Content-Type': 'text/plain' } };
const binary = { headers: { 'Content-Type': 'application/octet-stream' } };

const later = compose([awaiting, awaiting], async () => new Response(await lookUp(), text));

/** @param {Request} request */
async function echo(request) {
  return new Response(await request.arrayBuffer(), binary);
}

/** @param {Request} request */
async function count(request) {
  let bytes = 0;
  for await (const chunk of /** @type {any} */ (request.body)) bytes += chunk.length;
  return new Response(String(bytes), text);
}

Bun.serve({
  hostname: '127.0.0.1',
  port,
  ...(protocol === 'h2' || protocol === 'h2c' ? { http2: true } : {}),
  ...(cert === undefined ? {} : { tls: { cert: Bun.file(cert), key: Bun.file(key) } }),
  development: false,
  idleTimeout: idleMilliseconds / 1000,
  routes: {
    '/users/:id': (/** @type {Request & { params: { id: string } }} */ request) => {
      const { headers } = request;
      const length =
        /** @type {string} */ (headers.get('user-agent')).length +
        /** @type {string} */ (headers.get('accept')).length +
        /** @type {string} */ (headers.get('authorization')).length +
        /** @type {string} */ (headers.get('x-request-id')).length;
      return new Response(`${request.params.id} ${length}`, text);
    },
  },
  fetch(/** @type {Request} */ request) {
    const { url } = request;
    switch (url.slice(url.indexOf('/', 8))) {
      case '/plaintext':
        return new Response(hello, text);
      case '/json':
        return Response.json({ message: hello });
      case '/async':
        return later(undefined);
      case '/large':
        return new Response(large, text);
      case '/echo':
        return echo(request);
      case '/upload':
        return count(request);
      default:
        return new Response(null, { status: 404 });
    }
  },
});
