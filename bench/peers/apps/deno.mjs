/**
 * Deno.serve, which speaks HTTP/1.1 and HTTP/2 as the client wants. Arguments: port, route, protocol, files
 * of certificate and key.
 */

import { awaiting, compose, hello, lookUp, makeLarge, readArguments } from './shared.mjs';

const { Deno } = /** @type {any} */ (globalThis);
const { port, cert, key } = readArguments(Deno.args);
const secure = cert !== undefined;
const large = makeLarge();
const text = { headers: { 'Content-Type': 'text/plain' } };
const binary = { headers: { 'Content-Type': 'application/octet-stream' } };
const usersPath = '/users/';

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

/** @param {Headers} headers @param {string} id */
function user(headers, id) {
  const length =
    /** @type {string} */ (headers.get('user-agent')).length +
    /** @type {string} */ (headers.get('accept')).length +
    /** @type {string} */ (headers.get('authorization')).length +
    /** @type {string} */ (headers.get('x-request-id')).length;
  return new Response(`${id} ${length}`, text);
}

Deno.serve(
  {
    hostname: '127.0.0.1',
    port,
    ...(secure ? { cert: Deno.readTextFileSync(cert), key: Deno.readTextFileSync(key) } : {}),
    onListen() {},
  },
  (/** @type {Request} */ request) => {
    const { url } = request;
    const path = url.slice(url.indexOf('/', 8));
    switch (path) {
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
        if (path.startsWith(usersPath)) return user(request.headers, path.slice(usersPath.length));
        return new Response(null, { status: 404 });
    }
  },
);
