/**
 * node:http2 by its streams, which cost less than its imitation of node:http. Bun runs this file as well.
 * Arguments: port, route, protocol (h2 or h2c), files of certificate and key.
 */

import { readFileSync } from 'node:fs';
import http2 from 'node:http2';

import { greet, hello, makeLarge, readArguments, unary } from './shared.mjs';

const { port, protocol, cert, key } = readArguments(process.argv.slice(2));
const large = makeLarge();

/** @param {http2.ServerHttp2Stream} stream @param {string | Uint8Array} body @param {string} type */
function send(stream, body, type) {
  stream.respond({ ':status': 200, 'content-type': type, 'content-length': body.length });
  stream.end(body);
}

/** @param {http2.ServerHttp2Stream} stream */
function count(stream) {
  let bytes = 0;
  stream.on('data', (chunk) => (bytes += chunk.length));
  stream.on('end', () => {
    // The client may have gone meanwhile; to answer then is an error.
    if (!stream.destroyed) send(stream, String(bytes), 'text/plain');
  });
}

/** @param {http2.ServerHttp2Stream} stream */
function sayHello(stream) {
  /** @type {Buffer[]} */
  const chunks = [];
  stream.on('data', (/** @type {Buffer} */ chunk) => chunks.push(chunk));
  stream.on('end', () => {
    if (stream.destroyed) return;
    const answer = greet(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
    stream.respond({ ':status': 200, 'content-type': unary.type }, { waitForTrailers: true });
    stream.on('wantTrailers', () => {
      stream.sendTrailers({ 'grpc-status': answer === null ? '3' : '0' });
    });
    stream.end(answer ?? undefined);
  });
}

/** @param {http2.ServerHttp2Stream} stream @param {http2.IncomingHttpHeaders} headers */
function answer(stream, headers) {
  // A client that goes away in the middle of a stream is no reason to end.
  stream.on('error', () => undefined);
  switch (headers[':path']) {
    case '/plaintext':
      return send(stream, hello, 'text/plain');
    case '/json':
      return send(stream, JSON.stringify({ message: hello }), 'application/json');
    case '/large':
      return send(stream, large, 'text/plain');
    case '/upload':
      return count(stream);
    case unary.path:
      return sayHello(stream);
    default:
      return stream.respond({ ':status': 404 }, { endStream: true });
  }
}

const server =
  protocol === 'h2'
    ? http2.createSecureServer({
        cert: readFileSync(/** @type {string} */ (cert)),
        key: readFileSync(/** @type {string} */ (key)),
      })
    : http2.createServer();
server.on('stream', answer);
server.on('sessionError', () => undefined);
server.listen(port, '127.0.0.1');
