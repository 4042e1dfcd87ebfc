/** Expect: what is answered without the body must never turn into, or swallow, another request. */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import { captureErrors } from '../support/quiet-console.js';
import { until, within } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

captureErrors();

const EXPECT = 'POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n';
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n';

/** Ways to answer without having asked for the body. */
const UNASKED: Readonly<Record<string, (context: HttpContext) => Promise<void> | void>> = {
  'at once': ({ response }) => response.text('no'),
  later: async ({ response }) => {
    await delay(3);
    await response.text('no');
  },
  'in pieces': async ({ response }) => {
    await response.write('n');
    await delay(1);
    await response.write('o');
  },
  'with nothing': ({ response }) => {
    response.statusCode = 403;
  },
  'by failing': () => {
    throw new Error('the handler fails');
  },
};

for (const [name, handler] of Object.entries(UNASKED)) {
  for (const framing of [
    `Content-Length: ${String(SMUGGLED.length)}`,
    'Transfer-Encoding: chunked',
  ]) {
    test(`an answer ${name} without 100, ${framing.slice(0, 8)}: the connection ends, nothing more is read`, async (t) => {
      const { connect, metrics } = await startServer(t, handler);
      const client = await connect();
      const answer = await client.request(`${EXPECT}${framing}\r\n\r\n`);
      t.deepEqual(answer.headers.get('connection'), ['close']);
      void client.write(SMUGGLED + SMUGGLED);
      t.is((await within(client.rest(), 'the end')).length, 0);
      t.is(await client.closed, 'end');
      t.is(metrics().requests, 1);
    });
  }

  test(`an answer ${name} without 100, behind other requests`, async (t) => {
    const { connect, metrics } = await startServer(t, (context) =>
      context.request.path === '/get' ? context.response.text('get') : handler(context),
    );
    const client = await connect();
    const get = 'GET /get HTTP/1.1\r\nHost: h\r\n\r\n';
    void client.write(`${get}${get}${EXPECT}Content-Length: 10\r\n\r\n`);
    t.is((await client.answer()).text, 'get');
    t.is((await client.answer()).text, 'get');
    t.deepEqual((await client.answer()).headers.get('connection'), ['close']);
    void client.write(SMUGGLED);
    t.is((await client.rest()).length, 0);
    t.is(metrics().requests, 3);
  });

  test(`an answer ${name}: a body that is all here lets the connection live`, async (t) => {
    const { connect } = await startServer(t, (context) =>
      context.request.path === '/next' ? context.response.text('next') : handler(context),
    );
    const client = await connect();
    const next = 'GET /next HTTP/1.1\r\nHost: h\r\n\r\n';
    void client.write(`${EXPECT}Content-Length: 5\r\n\r\nGET /${next}`);
    t.false((await client.answer()).headers.has('connection'));
    t.is((await client.answer()).text, 'next');
    void client.write(`${EXPECT}Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n${next}`);
    t.false((await client.answer()).headers.has('connection'));
    t.is((await client.answer()).text, 'next');
  });
}

test('a body that has begun is read to its end, not taken for a request', async (t) => {
  const { connect, metrics } = await startServer(t, ({ request, response }) =>
    response.text(request.path),
  );
  const client = await connect();
  const body = SMUGGLED + SMUGGLED;
  void client.write(`${EXPECT}Content-Length: ${String(body.length)}\r\n\r\n${body.slice(0, 10)}`);
  t.is((await client.answer()).text, '/');
  void client.write(`${body.slice(10)}GET /next HTTP/1.1\r\nHost: h\r\n\r\n`);
  t.is((await client.answer()).text, '/next');
  t.is(metrics().requests, 2);
});

test('100 Continue for a request behind others comes after their answers', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    await delay(2);
    await response.text(`${request.path} ${await request.body.text()}`);
  });
  const client = await connect();
  void client.write(`GET /1 HTTP/1.1\r\nHost: h\r\n\r\n${EXPECT}Content-Length: 3\r\n\r\n`);
  t.is((await client.answer()).text, '/1 ');
  t.is((await client.answer()).status, 100);
  void client.write('abcGET /2 HTTP/1.1\r\nHost: h\r\n\r\n');
  t.is((await client.answer()).text, '/ abc');
  t.is((await client.answer()).text, '/2 ');
});

test('100 Continue is sent once, however the body is read', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    let text = '';
    for await (const piece of request.body) {
      text += Buffer.from(piece).toString();
      await delay(1);
    }
    await response.text(text);
  });
  const client = await connect();
  t.is((await client.request(`${EXPECT}Content-Length: 6\r\n\r\n`)).status, 100);
  for (const piece of ['ab', 'cd', 'ef']) {
    void client.write(piece);
    await delay(3);
  }
  const answer = await client.answer();
  t.is(answer.status, 200);
  t.is(answer.text, 'abcdef');
});

test('no 100 Continue once the answer has started', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    await response.write('a');
    await response.write(await request.body.text());
  });
  const client = await connect();
  void client.write(`${EXPECT}Content-Length: 3\r\n\r\n`);
  await until(() => client.peek().includes('1\r\na\r\n'), 'the answer has begun');
  t.true(client.peek().toString().startsWith('HTTP/1.1 200'));
  void client.write('bcd');
  t.is((await client.answer()).text, 'abcd');
});

test('other expectations are answered 417, and nothing behind them is read', async (t) => {
  const { connect, metrics } = await startServer(t, ({ response }) => response.text('a'));
  for (const expect of ['foo', '100-continue, foo', '100-continue;a=b', '', '"100-continue"']) {
    const client = await connect();
    void client.write(
      `POST / HTTP/1.1\r\nHost: h\r\nExpect: ${expect}\r\nContent-Length: ${String(SMUGGLED.length)}\r\n\r\n${SMUGGLED}${SMUGGLED}`,
    );
    const answer = await client.answer();
    t.is(answer.status, 417, expect);
    t.deepEqual(answer.headers.get('connection'), ['close']);
    t.is((await client.rest()).length, 0);
  }
  const twice = await connect();
  void twice.write(`${EXPECT}Expect: foo\r\nContent-Length: 1\r\n\r\n`);
  t.is((await twice.answer()).status, 417);
  t.is(metrics().requests, 0);
});

test('Expect on HTTP/1.0, and of a request without a body, says nothing', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) =>
    response.text(`a${await request.body.text()}`),
  );
  for (const expect of ['100-continue', 'foo']) {
    const old = await connect();
    const answer = await old.request(
      `POST / HTTP/1.0\r\nExpect: ${expect}\r\nContent-Length: 1\r\n\r\nb`,
    );
    t.is(answer.text, 'ab');
  }
  const client = await connect();
  const answer = await client.request(
    'GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n',
  );
  t.is(answer.text, 'a');
  t.false(answer.headers.has('connection'));
  t.is((await client.answer()).text, 'a');
});
