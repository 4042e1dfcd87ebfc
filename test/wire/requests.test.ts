/**
 * Requests as they stand on the wire, and what becomes of them: what the application sees, or the
 * refusal. Rows are from what Kestrel 10 was seen to do, but where the RFCs are stricter and so are we.
 */
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { WireServer } from '../support/wire-server.js';
import { startServer } from '../support/wire-server.js';

/** What the application is to see; what is not named is not looked at. */
interface Seen {
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly target?: string;
  readonly host?: string;
  readonly x?: string;
  readonly body?: string;
}

/** The status of a refusal, or what the application sees. */
type Outcome = number | Seen;

async function tell(context: HttpContext): Promise<void> {
  const { request } = context;
  let body: string;
  try {
    body = Buffer.from(await request.body.bytes()).toString('latin1');
  } catch {
    body = 'read throws'; // The answer to that is the server's.
  }
  // The answer to a CONNECT that is taken would be the start of a tunnel.
  if (request.method === 'CONNECT') context.response.statusCode = 404;
  await context.response.json({
    method: request.method,
    path: request.path,
    query: request.queryString,
    target: request.rawTarget,
    host: request.host,
    x: request.headers.get('X') ?? 'none',
    body,
  });
}

/** Sends every row on a connection of its own and looks at what comes. */
async function judge(
  t: ExecutionContext,
  rows: readonly (readonly [request: string, outcome: Outcome])[],
  toBytes: (request: string) => string,
): Promise<void> {
  const server = await startServer(t, tell);
  for (const [request, outcome] of rows) await judgeOne(t, server, request, outcome, toBytes);
}

async function judgeOne(
  t: ExecutionContext,
  { connect, metrics }: WireServer,
  row: string,
  outcome: Outcome,
  toBytes: (request: string) => string,
): Promise<void> {
  const name = JSON.stringify(row);
  const client = await connect();
  const before = metrics();
  const answer = await client.request(toBytes(row));
  if (typeof outcome === 'number') {
    t.is(answer.status, outcome, name);
    t.deepEqual(answer.headers.get('connection'), ['close'], name);
    t.is(answer.body.length, 0, name);
    t.is((await client.rest()).length, 0, name);
    t.is(metrics().refused, before.refused + 1, name);
  } else {
    t.is(answer.status, row.startsWith('CONNECT ') ? 404 : 200, `${name}: ${answer.head}`);
    const seen = JSON.parse(answer.text) as Required<Seen>;
    for (const [key, value] of Object.entries(outcome)) {
      t.is(seen[key as keyof Seen], value, `${name}: ${key}`);
    }
    // What follows is not disturbed.
    if (!answer.headers.has('connection')) {
      t.is((await client.request('GET /next HTTP/1.1\r\nHost: h\r\n\r\n')).status, 200, name);
    }
  }
  client.destroy();
}

const TOKEN_METHOD = "G!#$%&'*+-.^_`|~";

test('request lines', (t) =>
  judge(
    t,
    [
      ['GET / HTTP/1.1', { method: 'GET', path: '/', query: '', target: '/' }],
      ['get / HTTP/1.1', { method: 'get' }],
      ['FOO / HTTP/1.1', { method: 'FOO' }],
      ['VERSION-CONTROL / HTTP/1.1', { method: 'VERSION-CONTROL' }],
      [`${TOKEN_METHOD} / HTTP/1.1`, { method: TOKEN_METHOD }],
      ['\r\nGET / HTTP/1.1', { path: '/' }],
      ['G(T / HTTP/1.1', 400],
      ['G\x80T / HTTP/1.1', 400],
      [' GET / HTTP/1.1', 400],
      ['GET  / HTTP/1.1', 400],
      ['GET\t/ HTTP/1.1', 400],
      ['GET / HTTP/1.1 ', 400],
      ['GET /a b HTTP/1.1', 400],
      ['GET /axHTTP/1.1', 400],
      ['GET /', 400],
      ['GET', 400],
      ['GET / HTTP/1', 400],
      ['GET / HTTP/1.10', 400],
      ['GET / X', 400],
      ['GET / HTTP/1.2', 505],
      ['GET / HTTP/2.0', 505],
      ['GET / HTTP/0.9', 505],
      ['GET / HTTP/x.y', 505],
      [' \r\nGET / HTTP/1.1', 400],
      ['GET / HTTP/1.1\r', 400],
      // Kestrel lets these pass.
      ['GET /  HTTP/1.1', 400],
      ['GET /\tHTTP/1.1', 400],
      ['GET /xHTTP/1.1', 400],
      ['GET / http/1.1', 505],
      ['\n\r\rGET / HTTP/1.1', 400],
      ['GET /\x00 HTTP/1.1', 400],
    ],
    (line) => `${line}\r\nHost: h\r\n\r\n`,
  ));

test('bare line feeds end no line', (t) =>
  judge(
    t,
    [
      ['GET / HTTP/1.1\nHost: h\n\n', 400],
      ['GET / HTTP/1.1\nHost: h\r\n\r\n', 400],
      ['GET / HTTP/1.1\r\nHost: h\n\r\n', 400],
      ['GET / HTTP/1.1\r\nHost: h\r\n\n', 400],
      ['GET / HTTP/1.0\r\n\n', 400],
      ['GET / HTTP/1.1\r\nHost: h\r\n\r\r\n', 400],
      ['GET / HTTP/1.1\r\nHost: h\r\n\rX: y\r\n\r\n', 400],
      ['GET / HTTP/1.1\r\nHost: h\r\nX:\n\r\n', 400],
      ['GET / HTTP/1.1\r\nHost: h\r\nX\n: y\r\n\r\n', 400],
      ['GET / HTTP/1.1\r\nHost: h\r\nX: y\n\r\n', 400],
    ],
    (request) => request,
  ));

test('targets in origin form', (t) =>
  judge(
    t,
    [
      ['/a%20b+c', { path: '/a b+c', target: '/a%20b+c' }],
      ['/a%2Fb%2f', { path: '/a%2Fb%2f' }],
      ['/%252F', { path: '/%2F' }],
      ['/a%5Cb', { path: '/a\\b' }],
      ['/%01', { path: '/\x01' }],
      ['/%C3%A9', { path: '/é', target: '/%C3%A9' }],
      ['/%F0%9F%98%80', { path: '/😀' }],
      ['/%e9', { path: '/%e9' }],
      ['/%c0%ae', { path: '/%c0%ae' }],
      ['/%ed%a0%80', { path: '/%ed%a0%80' }],
      ['//a//b/', { path: '//a//b/' }],
      ['/.', { path: '/', target: '/.' }],
      ['/a/./b/.', { path: '/a/b/' }],
      ['/a/../b', { path: '/b' }],
      ['/../../a', { path: '/a' }],
      ['/a//../b', { path: '/a/b' }],
      ['/%2e%2E/b', { path: '/b' }],
      ['/a/..%2fb', { path: '/a/..%2fb' }],
      ['/a/...', { path: '/a/...' }],
      ['/..?q', { path: '/', query: '?q' }],
      ['/a?b?c', { path: '/a', query: '?b?c' }],
      ['/a?', { path: '/a', query: '?' }],
      ['/a?x=%00', { path: '/a', query: '?x=%00' }],
      ['/a%3Fb%23', { path: '/a?b#' }],
      ["/;p=1:@!$&'()*,~", { path: "/;p=1:@!$&'()*,~" }],
      [`/${'a'.repeat(8000)}`, { path: `/${'a'.repeat(8000)}` }],
      ['/%00', 400],
      ['/\x00', 400],
      ['/\x80', 400],
      ['/a?\x80', 400],
      ['?a', 400],
      ['%2F', 400],
      ['', 400],
      ['a/b', 400],
      // Kestrel lets these pass; RFC 3986 has no such targets.
      ['/a\\b', 400],
      ['/\x01', 400],
      ['/a\rb', 400],
      ['/\x7f', 400],
      ['/%zz%', 400],
      ['/%u0041', 400],
      ['/a#f?g', 400],
      ['/[a]{b}|"<>^`', 400],
      ['/a?x=\x01', 400],
      ['/a?%zz', 400],
      ['/a?b[]={"c":1}|^`\\<>', 400],
    ],
    (target) => `GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`,
  ));

test('targets in other forms, with a Host', (t) =>
  judge(
    t,
    [
      ['GET http://h h', { path: '/', host: 'h', target: 'http://h' }],
      ['GET http://h?q h', { path: '/', query: '?q' }],
      ['GET http://h/a%2Fb/../c?q h', { path: '/c', query: '?q', host: 'h' }],
      ['GET http://H/ h', { path: '/', host: 'h' }],
      ['GET http://H/ H', { path: '/', host: 'H' }],
      ['GET HTTP://h/ h', { path: '/', host: 'h' }],
      ['GET http://h:80/ h', { path: '/', host: 'h' }],
      ['GET http://h/ h:80', { path: '/', host: 'h:80' }],
      ['GET http://h:/ h', { path: '/' }],
      ['GET https://h:443/ h', { path: '/' }],
      ['GET http://h:0/ h:0', { path: '/', host: 'h:0' }],
      ['GET http://[::1]:8/x [::1]:8', { path: '/x' }],
      ['OPTIONS http://h h', { path: '/' }],
      ['OPTIONS * h', { path: '', target: '*', host: 'h' }],
      ['CONNECT h:80 h:80', { path: '', host: 'h:80' }],
      ['CONNECT h:80 h', 400],
      ['CONNECT h:x h:x', 400],
      ['CONNECT u@h:80 u@h:80', 400],
      ['GET http://h:81/ h', 400],
      ['GET http://x/ h', 400],
      ['GET http:/// h', 400],
      ['GET ftp://h/ h', 400],
      ['GET http://h/%00 h', 400],
      ['GET http://h/\x01 h', 400],
      ['OPTIONS *x h', 400],
      // Kestrel lets these pass.
      ['GET http://u:p@h/ h', 400],
      ['GET http://h/x#f h', 400],
      ['GET http://h/a\\b h', 400],
      ['CONNECT / h', 400],
    ],
    (row) => {
      const [method, target, host] = row.split(' ');
      return `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    },
  ));

test('an absolute target keeps an encoded slash, and dots after it', (t) =>
  judge(
    t,
    [['http://h/a%2F..%2Fb', { path: '/a%2F..%2Fb' }]],
    (target) => `GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`,
  ));

test('a target that is for another method is answered 405, with Allow', async (t) => {
  const { once } = await startServer(t, tell);
  const rows = [
    ['GET *', 'OPTIONS'],
    ['CONNECT *', 'OPTIONS'],
    ['GET .', 'CONNECT'],
    ['connect h:80', 'CONNECT'],
  ] as const;
  for (const [line, allow] of rows) {
    const answer = await once(`${line} HTTP/1.1\r\nHost: h\r\n\r\n`);
    t.is(answer.status, 405, line);
    t.deepEqual(answer.headers.get('allow'), [allow], line);
    t.deepEqual(answer.headers.get('connection'), ['close'], line);
  }
});

test('the Host field', (t) =>
  judge(
    t,
    [
      ['Host: h\r\n', { host: 'h' }],
      ['Host:\r\n', { host: '' }],
      ['Host: A.b:80\r\n', { host: 'A.b:80' }],
      ["Host: a_b!$&'()~\r\n", { host: "a_b!$&'()~" }],
      ['Host: ..\r\n', { host: '..' }],
      ['Host: [::1]:80\r\n', { host: '[::1]:80' }],
      ['', 400],
      ['Host: a\r\nHost: a\r\n', 400],
      ['Host: a\r\nhost: b\r\n', 400],
      ['Host: a:\r\n', 400],
      ['Host: a:x\r\n', 400],
      ['Host: :80\r\n', 400],
      ['Host: a b\r\n', 400],
      ['Host: a/b\r\n', 400],
      ['Host: a@b\r\n', 400],
      ['Host: ::1\r\n', 400],
      ['Host: [::1\r\n', 400],
      ['Host: [a]\r\n', 400],
      ['Host: [fe80::1%25e]\r\n', 400],
      ['Host: \xc3\xa9\r\n', 400],
      // Kestrel lets these pass.
      ['Host: a:99999\r\n', 400],
      ['Host: [1.2.3.4]\r\n', 400],
    ],
    (fields) => `GET / HTTP/1.1\r\n${fields}\r\n`,
  ));

test('HTTP/1.0 needs no Host, but may have one', (t) =>
  judge(
    t,
    [
      ['', { host: '' }],
      ['Host: a\r\n', { host: 'a' }],
      ['Host: a\r\nHost: b\r\n', 400],
      ['Host: a b\r\n', 400],
    ],
    (fields) => `GET / HTTP/1.0\r\n${fields}\r\n`,
  ));

test('field lines', (t) =>
  judge(
    t,
    [
      ['X:\t y  z \t', { x: 'y  z' }],
      ['X:', { x: '' }],
      ['X:y', { x: 'y' }],
      ['x: y', { x: 'y' }],
      ['X: a\r\nx: b', { x: 'a, b' }],
      ['X: \xc3\xa9', { x: 'é' }],
      [`X: ${'v'.repeat(20_000)}`, { x: 'v'.repeat(20_000) }],
      [`${'n'.repeat(20_000)}: v`, { x: 'none' }],
      ['X: a\tb', { x: 'a\tb' }],
      ['X : y', 400],
      [' X: y', 400],
      ['X', 400],
      ['X y', 400],
      [': y', 400],
      [':', 400],
      ['X: y\r\n: y', 400],
      ['X\x80: y', 400],
      ['X\x00: y', 400],
      ['X: \x00', 400],
      ['X: \xe9', 400],
      ['X: a\rb', 400],
      ['X: a\r\n b', 400],
      ['X: a\r\n\tb', 400],
      ['X: a\r\n ', 400],
      ['X:\r\n b', 400],
      ['X:\r\n ', 400],
      ['X: \r\n \r\n b', 400],
      ['X:  \t ', { x: '' }],
      ['X:\ty\t', { x: 'y' }],
      // Kestrel lets these pass; RFC 9110 section 5.5 does not.
      ['X: a\x01b', 400],
      ['X: a\x7fb', 400],
      ['X(@"[: y', 400],
      ['X\x01: y', 400],
    ],
    (line) => `GET / HTTP/1.1\r\nHost: h\r\n${line}\r\n\r\n`,
  ));

test('limits of the head', (t) => {
  const lines = (count: number): string => 'X: y\r\n'.repeat(count - 1);
  // With Host: h and its line end 9 bytes are taken.
  const block = (size: number): string => `X: ${'v'.repeat(size - 9 - 5)}\r\n`;
  return judge(
    t,
    [
      [`GET /${'a'.repeat(8192 - 16)} HTTP/1.1\r\nHost: h\r\n\r\n`, { query: '' }],
      [`GET /${'a'.repeat(8192 - 15)} HTTP/1.1\r\nHost: h\r\n\r\n`, 414],
      [`GET /${'a'.repeat(100_000)}`, 414],
      [`${'G'.repeat(10_000)} / HTTP/1.1\r\nHost: h\r\n\r\n`, 414],
      [`GET / HTTP/1.1\r\nHost: h\r\n${lines(100)}\r\n`, { path: '/' }],
      [`GET / HTTP/1.1\r\nHost: h\r\n${lines(101)}\r\n`, 431],
      [`GET / HTTP/1.1\r\nHost: h\r\n${block(32_768)}\r\n`, { path: '/' }],
      [`GET / HTTP/1.1\r\nHost: h\r\n${block(32_769)}\r\n`, 431],
      [`GET / HTTP/1.1\r\nHost: h\r\nX: ${'v'.repeat(200_000)}`, 431],
      [`GET / HTTP/1.1\r\nHost: h\r\n${'x'.repeat(200_000)}`, 431],
    ],
    (request) => request,
  );
});

test('larger limits let larger heads through', async (t) => {
  const { once } = await startServer(
    t,
    (context) =>
      context.response.json([
        context.request.path.length,
        context.request.headers.size,
        context.request.headers.get('x4999'),
        context.request.headers.get('big')?.length,
      ]),
    {
      limits: {
        maxRequestLineSize: 200_000,
        maxRequestHeadersTotalSize: 2_000_000,
        maxRequestBufferSize: 2_000_000,
        maxRequestHeaderCount: 10_000,
      },
    },
  );
  let fields = `Big: ${'v'.repeat(1_000_000)}\r\n`;
  for (let i = 0; i < 5000; i++) fields += `X${String(i)}: ${String(i)}\r\n`;
  const answer = await once(`GET /${'a'.repeat(150_000)} HTTP/1.1\r\nHost: h\r\n${fields}\r\n`);
  t.deepEqual(JSON.parse(answer.text), [150_001, 5002, '4999', 1_000_000]);
});

test('framing of bodies', (t) =>
  judge(
    t,
    [
      ['\r\n', { body: '' }],
      ['Content-Length: 3\r\n\r\nabc', { body: 'abc' }],
      ['Content-Length: 0\r\n\r\n', { body: '' }],
      ['Content-Length: 003\r\n\r\nabc', { body: 'abc' }],
      ['Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n', { body: 'abc' }],
      ['Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n', { body: 'abc' }],
      ['Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n', { body: '' }],
      ['Content-Length: -3\r\n\r\nabc', 400],
      ['Content-Length: 3,3\r\n\r\nabc', 400],
      ['Content-Length: 3 3\r\n\r\nabc', 400],
      ['Content-Length: 0x3\r\n\r\nabc', 400],
      ['Content-Length:\r\n\r\nabc', 400],
      ['Content-Length: 9223372036854775808\r\n\r\nabc', 400],
      ['Content-Length: 9223372036854775807\r\n\r\nabc', 413],
      ['Content-Length: 30000001\r\n\r\n', 413],
      ['Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc', 400],
      ['Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc', 400],
      ['Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n', 400],
      ['Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n', 400],
      ['Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n', 400],
      ['Transfer-Encoding: identity\r\n\r\n0\r\n\r\n', 400],
      ['Transfer-Encoding:\r\n\r\n0\r\n\r\n', 400],
      ['Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n', 400],
      ['Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n', 400],
      ['Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n', 400],
      ['Content-Length: 3\r\nTransfer-Encoding: gzip\r\n\r\nabc', 400],
      // Kestrel lets these pass.
      ['Content-Length: +3\r\n\r\nabc', 400],
      ['Content-Length: -0\r\n\r\nabc', 400],
      ['Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', 501],
      ['Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n', 400],
      ['Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n', 501],
      ['Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n', 400],
      ['Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
      ['Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n', 400],
    ],
    (rest) => `POST / HTTP/1.1\r\nHost: h\r\n${rest}`,
  ));

test('framing of bodies on HTTP/1.0', (t) =>
  judge(
    t,
    [
      ['PATCH / HTTP/1.0\r\n\r\n', { body: '' }],
      ['POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc', { body: 'abc' }],
      ['POST / HTTP/1.0\r\n\r\n', 400],
      ['PUT / HTTP/1.0\r\n\r\n', 400],
      // Kestrel lets it pass; RFC 9112 section 6.1 calls it faulty.
      ['POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ],
    (request) => request,
  ));

test('chunked bodies', (t) =>
  judge(
    t,
    [
      ['00000003\r\nabc\r\n0\r\n\r\n', { body: 'abc' }],
      ['3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n', { body: 'abc0123456789' }],
      ['3;a="b;c"\r\nabc\r\n0;x\r\n\r\n', { body: 'abc' }],
      ['3\r\nabc\r\n0\r\nX: y\r\nHost: z\r\n\r\n', { body: 'abc' }],
      ['3; a = b\r\nabc\r\n0\r\n\r\n', { body: 'abc' }],
      ['+3\r\nabc\r\n0\r\n\r\n', 400],
      ['0x3\r\nabc\r\n0\r\n\r\n', 400],
      ['\r\nabc\r\n0\r\n\r\n', 400],
      ['3 \r\nabc\r\n0\r\n\r\n', 400],
      ['3;a\nabc\r\n0\r\n\r\n', 400],
      ['3;a\rb\r\nabc\r\n0\r\n\r\n', 400],
      ['3; a = \x01\x00\r\nabc\r\n0\r\n\r\n', 400],
      ['3\nabc\r\n0\r\n\r\n', 400],
      ['3\r\nabc\n0\r\n\r\n', 400],
      ['3\r\nabcd\r\n0\r\n\r\n', 400],
      ['3\r\nabc0\r\n\r\n', 400],
      ['3\r\nabc\r\n0\n\r\n', 400],
      ['3\r\nabc\r\n\r\n0\r\n\r\n', 400],
      ['0\r\nX: y\n\r\n', 400],
      ['0\r\nX : y\r\n\r\n', 400],
      // Kestrel says 500.
      ['80000000\r\n', 413],
      ['10000000000000000\r\n', 400],
      [`${'f'.repeat(300)}\r\n`, 400],
      ['0\r\nX: \x00\r\n\r\n', 400],
    ],
    (body) => `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
  ));

test('endless chunk extensions and trailers are refused', (t) =>
  judge(
    t,
    [
      [`3;${'a'.repeat(20_000)}`, 400],
      [`3;a="${'b'.repeat(20_000)}`, 400],
      ['1;a=b\r\nx\r\n'.repeat(20_000), 413],
      [`0\r\n${'X: y\r\n'.repeat(20_000)}`, 431],
      [`0\r\nX: ${'y'.repeat(200_000)}`, 431],
    ],
    (body) => `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
  ));

test('Expect', (t) =>
  judge(
    t,
    [
      ['Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc', { body: 'abc' }],
      ['Expect: 100-Continue\r\nContent-Length: 3\r\n\r\nabc', { body: 'abc' }],
      ['Expect: 100-continue\r\n\r\n', { body: '' }],
      // Kestrel ignores what it does not know; RFC 9110 section 10.1.1 has a status for it.
      ['Expect: foo\r\nContent-Length: 3\r\n\r\nabc', 417],
      ['Expect: 100-continue, foo\r\nContent-Length: 3\r\n\r\nabc', 417],
    ],
    (rest) => `POST / HTTP/1.1\r\nHost: h\r\n${rest}`,
  ));
