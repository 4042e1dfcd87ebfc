// node:http, stopped as its documentation says: close() refuses new connections and ends idle ones. Busy
// ones may go on for ever, so a second later closeAllConnections() ends them. Arguments: a port, or the path of a Unix socket.
import { createServer } from 'node:http';

const where = process.argv[2];
const body = JSON.stringify({ message: 'Hello, World!' });

function answer(response, type, text) {
  response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

const server = createServer((request, response) => {
  if (request.url === '/slow') {
    setTimeout(() => answer(response, 'application/json', body), 50);
  } else if (request.url === '/body') {
    let length = 0;
    request.on('data', (chunk) => (length += chunk.length));
    request.on('end', () => answer(response, 'text/plain', String(length)));
  } else {
    answer(response, 'application/json', body);
  }
});
process.once('SIGTERM', () => {
  server.close();
  setTimeout(() => server.closeAllConnections(), 1000).unref();
});
if (/^\d+$/.test(where)) server.listen(Number(where), '127.0.0.1');
else server.listen(where);
server.on('listening', () => console.log('ready'));
