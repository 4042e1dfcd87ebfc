// node:http with its default options, and an application that reads the body and tells what it saw: in a
// field of the answer, because answers to HEAD have no body. Ends when its standard input does.
import { createServer } from 'node:http';

/** Pairs of what comes as one list; node:http makes Latin-1 of the bytes. */
function pairs(list) {
  const text = (value) => Buffer.from(value, 'latin1').toString('utf8');
  return list.flatMap((name, i) => (i % 2 === 0 ? [[name, text(list[i + 1])]] : []));
}

function seenOf(request, body) {
  const seen = {
    method: request.method,
    target: request.url,
    protocol: `HTTP/${request.httpVersion}`,
    host: request.headers.host ?? '',
    body,
    fields: pairs(request.rawHeaders),
    trailers: pairs(request.rawTrailers),
  };
  return Buffer.from(JSON.stringify(seen)).toString('base64');
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on('error', () => undefined);
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    response.setHeader('Seen', seenOf(request, Buffer.concat(chunks).toString('latin1')));
    response.end('ok');
  });
});
server.on('connect', (request, socket) => {
  socket.on('error', () => undefined);
  const head = `HTTP/1.1 501 Not Implemented\r\nSeen: ${seenOf(request, '')}\r\nContent-Length: 0\r\n\r\n`;
  socket.write(head);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume().on('end', () => process.exit());
