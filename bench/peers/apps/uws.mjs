/**
 * uWebSockets.js with its own router. Arguments: port, route, protocol (http or https), files of certificate
 * and key.
 */

import { createRequire } from 'node:module';

import uws from '@trufflesuite/uws-js-unofficial';

import { awaiting, compose, hello, lookUp, makeLarge, readArguments } from './shared.mjs';

// The package falls back to a slow imitation when its binary does not fit this Node.
const loaded = Object.keys(createRequire(import.meta.url).cache);
if (!loaded.some((file) => file.endsWith('.node') && file.includes('uws_'))) {
  throw new Error(`no binary of uWebSockets.js for Node ${process.version}`);
}

const { port, protocol, cert, key } = readArguments(process.argv.slice(2));
const large = makeLarge();

const later = compose(
  [awaiting, awaiting],
  async (/** @type {{ response: any, aborted: boolean }} */ context) => {
    const body = await lookUp();
    if (context.aborted) return;
    context.response.cork(() => {
      context.response.writeHeader('Content-Type', 'text/plain').end(body);
    });
  },
);

const app =
  protocol === 'https' ? uws.SSLApp({ cert_file_name: cert, key_file_name: key }) : uws.App();
app
  .get('/plaintext', (response) => {
    response.writeHeader('Content-Type', 'text/plain').end(hello);
  })
  .get('/json', (response) => {
    response
      .writeHeader('Content-Type', 'application/json')
      .end(JSON.stringify({ message: hello }));
  })
  .get('/users/:id', (response, request) => {
    const length =
      request.getHeader('user-agent').length +
      request.getHeader('accept').length +
      request.getHeader('authorization').length +
      request.getHeader('x-request-id').length;
    response.writeHeader('Content-Type', 'text/plain').end(`${request.getParameter(0)} ${length}`);
  })
  .get('/async', (response) => {
    const context = { response, aborted: false };
    response.onAborted(() => (context.aborted = true));
    void later(context);
  })
  .get('/large', (response) => {
    response.writeHeader('Content-Type', 'text/plain').end(large);
  })
  .post('/echo', (response) => {
    /** @type {Buffer[]} */
    const chunks = [];
    response.onAborted(() => undefined);
    response.onData((chunk, last) => {
      // The memory of a chunk is uWebSockets.js's again after this call.
      if (!last) return void chunks.push(Buffer.from(chunk.slice(0)));
      const body = chunks.length === 0 ? chunk : Buffer.concat([...chunks, Buffer.from(chunk)]);
      response.writeHeader('Content-Type', 'application/octet-stream').end(body);
    });
  })
  .post('/upload', (response) => {
    let bytes = 0;
    response.onAborted(() => undefined);
    response.onData((chunk, last) => {
      bytes += chunk.byteLength;
      if (last) response.writeHeader('Content-Type', 'text/plain').end(String(bytes));
    });
  })
  .listen('127.0.0.1', port, (socket) => {
    if (!socket) throw new Error('it cannot listen');
  });
