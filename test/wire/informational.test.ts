/** Interim answers (RFC 9110 section 15.2): 100, 102, 103. */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { HttpInformationalResponseFeature } from '../../lib/features/http-features.js';
import { HeaderMap } from '../../lib/http/header-map.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import { codeOf } from '../support/errors.js';
import { captureErrors } from '../support/quiet-console.js';
import { until } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

captureErrors();

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

test('several interim answers come before the answer, at once', async (t) => {
  const { connect } = await startServer(t, async ({ response }) => {
    await response.writeInformational(102);
    await response.writeInformational(103, { Link: ['</a>; rel=preload', '</b>'], X: 1 });
    await response.writeInformational(103, [['Link', '</c>']]);
    await delay(5);
    const map = new HeaderMap();
    map.set('Link', '</d>');
    await response.writeInformational(199, map);
    t.false(response.hasStarted);
    await response.text('abc');
  });
  const client = await connect();
  for (let i = 0; i < 3; i++) {
    t.is((await client.request(GET)).head, 'HTTP/1.1 102 Processing\r\n\r\n');
    const hints = 'HTTP/1.1 103 Early Hints\r\n';
    t.is(
      (await client.answer()).head,
      `${hints}Link: </a>; rel=preload\r\nLink: </b>\r\nX: 1\r\n\r\n`,
    );
    t.is((await client.answer()).head, `${hints}Link: </c>\r\n\r\n`);
    t.is((await client.answer()).head, 'HTTP/1.1 199 \r\nLink: </d>\r\n\r\n');
    const answer = await client.answer();
    t.is(answer.text, 'abc');
    t.false(answer.headers.has('link'));
  }
});

test('an interim answer leaves while its handler still runs', async (t) => {
  let going = true;
  const { connect } = await startServer(t, async ({ response }) => {
    await response.writeInformational(103, { Link: '</a>' });
    await until(() => !going, 'the test has seen it');
    await response.text('abc');
  });
  const client = await connect();
  t.is((await client.request(GET)).status, 103);
  going = false;
  t.is((await client.answer()).text, 'abc');
});

test('a handler that is done when it returns may inform, too', async (t) => {
  const { connect } = await startServer(t, ({ response }) => {
    void response.writeInformational(103, { Link: '</a>' });
    return response.text('abc');
  });
  const client = await connect();
  void client.write(GET + GET);
  for (const status of [103, 200, 103, 200]) t.is((await client.answer()).status, status);
});

test('pipelined requests keep their interim answers before their own answers', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    await delay(Math.random() * 8);
    await response.writeInformational(103, { Link: request.path });
    await delay(Math.random() * 8);
    void response.writeInformational(102, { Path: request.path });
    await response.text(request.path);
  });
  const client = await connect();
  for (let i = 0; i < 30; i++) {
    void client.write(`GET /${String(i)} HTTP/1.1\r\nHost: h\r\n\r\n`);
  }
  for (let i = 0; i < 30; i++) {
    const path = `/${String(i)}`;
    t.deepEqual((await client.answer()).headers.get('link'), [path]);
    t.deepEqual((await client.answer()).headers.get('path'), [path]);
    t.is((await client.answer()).text, path);
  }
});

test('a client of HTTP/1.0 gets none', async (t) => {
  const { once } = await startServer(t, async ({ response }) => {
    await response.writeInformational(103, { Link: '</a>' });
    await response.text('abc');
  });
  t.is((await once('GET / HTTP/1.0\r\n\r\n')).text, 'abc');
});

test('a 100 of the application is the one that the client waits for', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    await response.writeInformational(100);
    await response.text(await request.body.text());
  });
  const client = await connect();
  const head = 'POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n';
  for (let i = 0; i < 2; i++) {
    t.is((await client.request(head)).head, 'HTTP/1.1 100 Continue\r\n\r\n');
    const answer = await client.request('abc');
    t.is(answer.status, 200);
    t.is(answer.text, 'abc');
    t.false(answer.headers.has('connection'));
  }
});

test('after the start, and after the end, it is too late', async (t) => {
  const codes: unknown[] = [];
  const { once } = await startServer(t, async ({ response }) => {
    await response.write('abc');
    codes.push(codeOf(() => response.writeInformational(103)));
    await response.end();
    codes.push(codeOf(() => response.writeInformational(103)));
  });
  t.is((await once(GET)).text, 'abc');
  t.deepEqual(codes, ['WH_ERR_RESPONSE_STARTED', 'WH_ERR_RESPONSE_ENDED']);
});

test('what is none, or would break the message, is refused with a code', async (t) => {
  const rows: readonly (readonly [code: string, status: unknown, headers?: unknown])[] = [
    ...[101, 200, 99, 0, -1, 1000, 102.5, NaN, '103', undefined, null].map(
      (status) => ['WH_ERR_INVALID_STATUS', status] as const,
    ),
    ['WH_ERR_INVALID_HEADER_VALUE', 103, { Link: 'a\r\nInjected: b' }],
    ['WH_ERR_INVALID_HEADER_VALUE', 103, { Link: 'a\0' }],
    ['WH_ERR_INVALID_HEADER_VALUE', 103, { Link: 'ü' }],
    ['WH_ERR_INVALID_HEADER_VALUE', 103, [['Link', 'a\n']]],
    ['WH_ERR_INVALID_HEADER_NAME', 103, { 'Link\r\nX': 'a' }],
    ['WH_ERR_INVALID_HEADER_NAME', 103, { '': 'a' }],
    ['WH_ERR_INVALID_HEADER_NAME', 103, { 'Content-Length': 5 }],
    ['WH_ERR_INVALID_HEADER_NAME', 103, { 'transfer-encoding': 'chunked' }],
    ['WH_ERR_INVALID_HEADER_NAME', 103, { Connection: 'close' }],
    ['WH_ERR_INVALID_HEADER_NAME', 103, { Upgrade: 'x' }],
    ['WH_ERR_INVALID_ARGUMENT', 103, 5],
    ['WH_ERR_INVALID_ARGUMENT', 103, null],
    ['WH_ERR_INVALID_ARGUMENT', 103, [5]],
    ['WH_ERR_INVALID_ARGUMENT', 103, [['Link']]],
    ['WH_ERR_INVALID_ARGUMENT', 103, 'Link: </a>'],
    ['WH_ERR_INVALID_ARGUMENT', 103, { Link: true }],
    ['WH_ERR_HEADERS_TOO_LARGE', 103, { Link: 'x'.repeat(70_000) }],
  ];
  const { once } = await startServer(t, async ({ response, features }) => {
    for (const [code, status, headers] of rows) {
      const attempt = (): unknown => response.writeInformational(status as never, headers as never);
      t.is(codeOf(attempt), code, `${String(status)} ${JSON.stringify(headers)}`);
    }
    t.truthy(features.get(HttpInformationalResponseFeature));
    await response.text('abc');
  });
  t.is((await once(GET)).text, 'abc', 'and nothing of it was sent');
});

test('a client that does not read makes the writer wait', async (t) => {
  let sent = 0;
  let over = false;
  const { connect } = await startServer(t, async (context: HttpContext) => {
    const fields = { X: 'y'.repeat(10_000) };
    while (sent < 5000 && !context.requestAborted.aborted) {
      await context.response.writeInformational(102, fields);
      sent++;
    }
    over = true;
  });
  const client = await connect();
  client.pause();
  void client.write(GET);
  let before = -1;
  await until(async () => {
    before = sent;
    await delay(50);
    return sent === before && sent > 0;
  }, 'the writer waits');
  t.true(sent < 5000);
  await client.reset();
  await until(() => over, 'the writer is let go');
});
