/**
 * node:http alone; over TLS the server of node:http2 that speaks HTTP/1.1 as well. Arguments: port, route,
 * protocol (http or https), files of certificate and key.
 */

import { createReadStream, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import http from 'node:http';
import http2 from 'node:http2';
import { pipeline } from 'node:stream/promises';

import { filePath, makeFiles } from './files.mjs';
import {
  awaiting,
  compose,
  hello,
  idleMilliseconds,
  lookUp,
  makeLarge,
  readArguments,
} from './shared.mjs';

const { port, protocol, cert, key } = readArguments(process.argv.slice(2));
const large = makeLarge();
makeFiles();
const text = (/** @type {number} */ length) => ({
  'Content-Type': 'text/plain',
  'Content-Length': length,
});

/** @param {http.ServerResponse} response @param {string} body ASCII. */
function sendText(response, body) {
  response.writeHead(200, text(body.length));
  response.end(body);
}

const later = compose([awaiting, awaiting], async (/** @type {http.ServerResponse} */ response) => {
  sendText(response, await lookUp());
});

/** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
function echo(request, response) {
  /** @type {Buffer[]} */
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    response.writeHead(200, {
      'Content-Type': 'application/octet-stream',
      'Content-Length': body.length,
    });
    response.end(body);
  });
}

/** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
function count(request, response) {
  let bytes = 0;
  request.on('data', (chunk) => (bytes += chunk.length));
  request.on('end', () => sendText(response, String(bytes)));
}

/** @param {http.ServerResponse} response @param {string} file */
async function sendFile(response, file) {
  const { size } = await stat(file);
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': size });
  await pipeline(createReadStream(file), response);
}

/** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
function user(request, response) {
  const { headers } = request;
  const id = /** @type {string} */ (request.url).slice('/users/'.length);
  const length =
    /** @type {string} */ (headers['user-agent']).length +
    /** @type {string} */ (headers.accept).length +
    /** @type {string} */ (headers.authorization).length +
    /** @type {string} */ (headers['x-request-id']).length;
  sendText(response, `${id} ${length}`);
}

/** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
function answer(request, response) {
  const url = /** @type {string} */ (request.url);
  switch (url) {
    case '/plaintext':
      return sendText(response, hello);
    case '/json': {
      const body = JSON.stringify({ message: hello });
      response.writeHead(200, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
      });
      return void response.end(body);
    }
    case '/async':
      return void later(response);
    case '/echo':
      return echo(request, response);
    case '/file/small':
    case '/file/large':
      return void sendFile(response, filePath(url)).catch(() => response.destroy());
    case '/upload':
      return count(request, response);
    case '/large':
      response.writeHead(200, text(large.length));
      return void response.end(large);
    default:
      if (url.startsWith('/users/')) return user(request, response);
      response.writeHead(404);
      return void response.end();
  }
}

if (protocol === 'https') {
  const server = http2.createSecureServer({
    allowHTTP1: true,
    cert: readFileSync(/** @type {string} */ (cert)),
    key: readFileSync(/** @type {string} */ (key)),
  });
  // Its requests on HTTP/1.1 are those of node:http, whatever its types say.
  server.on('request', /** @type {any} */ (answer));
  server.listen(port, '127.0.0.1');
} else {
  http.createServer({ keepAliveTimeout: idleMilliseconds }, answer).listen(port, '127.0.0.1');
}
