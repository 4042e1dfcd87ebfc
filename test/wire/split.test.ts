import test from 'ava';
import { until } from '../support/until.js';
import type { WireServer } from '../support/wire-server.js';
import { startServer } from '../support/wire-server.js';

/** Sends pieces so that the server reads each by itself. */
async function sendPieces(
  { connect, metrics }: WireServer,
  pieces: readonly string[],
): Promise<Awaited<ReturnType<WireServer['connect']>>> {
  const client = await connect();
  for (const piece of pieces) {
    const due = metrics().bytesReceived + piece.length;
    await client.write(piece);
    await until(() => metrics().bytesReceived >= due, 'the server has read the piece');
  }
  return client;
}

const REQUEST =
  'POST /a%20b/../c?d=e HTTP/1.1\r\nHost: h:80\r\nX-Own:  some value \r\nEmpty:\r\n' +
  'Accept: text/html\r\nX-Own: another\r\nContent-Length: 11\r\n\r\nhello world';
const CHUNKED =
  'PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n' +
  '5;a="b c"\r\nhello\r\n006\r\n world\r\n0;x\r\nTrailer: t\r\n\r\n';

function startEcho(t: Parameters<typeof startServer>[0]): Promise<WireServer> {
  return startServer(t, async ({ request, response }) => {
    await response.json({
      method: request.method,
      path: request.path,
      query: request.queryString,
      fields: [...request.headers],
      body: await request.body.text(),
    });
  });
}

const EXPECTED = {
  method: 'POST',
  path: '/c',
  query: '?d=e',
  fields: [
    ['Host', 'h:80'],
    ['X-Own', 'some value'],
    ['Empty', ''],
    ['Accept', 'text/html'],
    ['X-Own', 'another'],
    ['Content-Length', '11'],
  ],
  body: 'hello world',
};
const EXPECTED_CHUNKED = {
  method: 'PUT',
  path: '/x',
  query: '',
  fields: [
    ['Host', 'h'],
    ['Transfer-Encoding', 'chunked'],
  ],
  body: 'hello world',
};

for (const [kind, request, expected] of [
  ['with a length', REQUEST, EXPECTED],
  ['in chunks', CHUNKED, EXPECTED_CHUNKED],
] as const) {
  test(`a request ${kind} is read alike wherever it is cut in two`, async (t) => {
    const server = await startEcho(t);
    for (let cut = 1; cut < request.length; cut++) {
      const client = await sendPieces(server, [request.slice(0, cut), request.slice(cut)]);
      t.deepEqual(JSON.parse((await client.answer()).text), expected, `cut at ${String(cut)}`);
      client.destroy();
    }
  });

  test(`a request ${kind} is read alike byte by byte, and the next one after it`, async (t) => {
    const server = await startEcho(t);
    const client = await sendPieces(server, [...request]);
    t.deepEqual(JSON.parse((await client.answer()).text), expected);
    void client.write(request + request);
    t.deepEqual(JSON.parse((await client.answer()).text), expected);
    t.deepEqual(JSON.parse((await client.answer()).text), expected);
  });

  test(`requests ${kind} that run into each other are read alike wherever they are cut`, async (t) => {
    const server = await startEcho(t);
    const both = request + request;
    for (let cut = 7; cut < both.length; cut += 11) {
      const second = (cut + both.length) >> 1;
      const client = await sendPieces(server, [
        both.slice(0, cut),
        both.slice(cut, second),
        both.slice(second),
      ]);
      t.deepEqual(JSON.parse((await client.answer()).text), expected, `cut at ${String(cut)}`);
      t.deepEqual(JSON.parse((await client.answer()).text), expected, `cut at ${String(cut)}`);
      client.destroy();
    }
  });
}

test('a head larger than a slot is read alike in any pieces', async (t) => {
  const server = await startServer(t, ({ request, response }) =>
    response.json([...request.headers].map(([name, value]) => `${name}=${value}`)),
  );
  const fields = Array.from(
    { length: 90 },
    (_, i) => [`X-${String(i)}`, 'v'.repeat((i * 37) % 500)] as const,
  );
  const request = `GET /${'p'.repeat(3000)} HTTP/1.1\r\nHost: h\r\n${fields
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;
  const expected = ['Host=h', ...fields.map(([name, value]) => `${name}=${value}`)];
  for (const size of [100_000, 9000, 4096, 2049, 1000, 251]) {
    const pieces: string[] = [];
    for (let at = 0; at < request.length; at += size) pieces.push(request.slice(at, at + size));
    const client = await sendPieces(server, pieces);
    t.deepEqual(JSON.parse((await client.answer()).text), expected, `pieces of ${String(size)}`);
    client.destroy();
  }
});

test('bad requests are refused alike wherever they are cut', async (t) => {
  const server = await startEcho(t);
  const requests = [
    'GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: h\r\nX:\r\n b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n\n',
    'GET / HTTP/1.1\r\nHost: h\r\n: y\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n',
  ];
  for (const request of requests) {
    for (let cut = 1; cut < request.length; cut++) {
      const client = await server.connect();
      const before = server.metrics().bytesReceived;
      await client.write(request.slice(0, cut));
      await until(() => server.metrics().bytesReceived >= before + cut, 'the server has read');
      void client.write(request.slice(cut));
      const answer = await client.answer();
      t.is(answer.status, 400, `${JSON.stringify(request)} cut at ${String(cut)}`);
      client.destroy();
    }
  }
});
