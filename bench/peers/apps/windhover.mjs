/**
 * windhover: `serve()` with a bare handler, and a WebApplication with its router and pipeline for
 * the scenarios that are about those. Arguments: port, route, protocol, files of certificate and key.
 */

import { readFileSync } from 'node:fs';

import { WebApplication, serve } from '../../../dist/lib/index.js';
import { filePath, makeFiles } from './files.mjs';
import { greet, hello, lookUp, makeLarge, readArguments, unary } from './shared.mjs';

const { port, route, protocol, cert, key } = readArguments(process.argv.slice(2));
const large = makeLarge();
makeFiles();
const address = `http://127.0.0.1:${port}`;

/** @param {any} context */
async function echo(context) {
  const body = await context.request.body.bytes();
  context.response.bytes(body);
}

/** @param {any} context */
async function count(context) {
  let bytes = 0;
  for await (const chunk of context.request.body) bytes += chunk.length;
  context.response.text(String(bytes));
}

/** @param {any} context */
async function sayHello({ request, response }) {
  const answer = greet(await request.body.bytes());
  response.trailers.set('grpc-status', answer === null ? '3' : '0');
  response.bytes(answer ?? new Uint8Array(0), unary.type);
}

/** @param {any} context */
function bare(context) {
  const { request, response } = context;
  switch (request.path) {
    case '/plaintext':
      return response.text(hello);
    case '/json':
      return response.json({ message: hello });
    case '/large':
      return response.bytes(large, 'text/plain');
    case '/echo':
      return echo(context);
    case '/file/small':
    case '/file/large':
      response.contentType = 'application/octet-stream';
      return response.sendFile(filePath(request.path));
    case '/upload':
      return count(context);
    case unary.path:
      return sayHello(context);
    default:
      response.statusCode = 404;
      return response.end();
  }
}

async function application() {
  const app = WebApplication.createBuilder({ args: [] }).build();
  if (route === 'async') {
    const awaiting = async (/** @type {any} */ context, /** @type {any} */ next) => {
      await next();
    };
    app.use(awaiting);
    app.use(awaiting);
  }
  app.get('/async', async (/** @type {any} */ context) => {
    context.response.text(await lookUp());
  });
  app.get('/users/:id', (/** @type {any} */ context) => {
    const { headers, routeValues } = context.request;
    const length =
      headers.get('user-agent').length +
      headers.get('accept').length +
      headers.get('authorization').length +
      headers.get('x-request-id').length;
    context.response.text(`${routeValues.id} ${length}`);
  });
  app.urls.add(address);
  await app.start();
}

/** Where to listen in the scenarios of the bare handler. */
function listening() {
  const place = { host: '127.0.0.1', port };
  switch (protocol) {
    case 'https':
    case 'h2': {
      const https = { cert: readFileSync(cert), key: readFileSync(key) };
      return { endpoints: [{ ...place, protocols: 'http1AndHttp2', https }] };
    }
    case 'h2c':
      return { endpoints: [{ ...place, protocols: 'http2' }] };
    default:
      return { urls: address };
  }
}

if (['user', 'async'].includes(route)) await application();
else await serve(/** @type {any} */ (listening()), bare);
