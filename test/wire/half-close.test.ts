/**
 * A client that ends its side after its request still gets its answer (Kestrel takes it for gone), and a
 * body that nobody reads costs nobody seconds.
 */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import { captureErrors } from '../support/quiet-console.js';
import { deferred, until, within } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

captureErrors();

type Handler = (context: HttpContext) => Promise<void> | void;

const ANSWERS: Readonly<Record<string, Handler>> = {
  sync: ({ response }) => response.text('abc'),
  async: async ({ response }) => {
    await delay(5);
    await response.text('abc');
  },
  streaming: async ({ response }) => {
    for (const piece of ['a', 'b', 'c']) {
      await delay(3);
      await response.write(piece);
    }
  },
  'streaming of a known length': async ({ response }) => {
    response.contentLength = 3;
    await response.write('a');
    await delay(5);
    await response.write('bc');
  },
  'after the body': async ({ request, response }) => {
    await delay(2);
    await request.body.bytes();
    await delay(2);
    await response.text('abc');
  },
  'without the body': async ({ response }) => {
    await delay(5);
    await response.text('abc');
  },
};

const REQUESTS: Readonly<Record<string, string>> = {
  GET: 'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
  'GET, close': 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
  'HTTP/1.0': 'GET / HTTP/1.0\r\n\r\n',
  POST: 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc',
  chunked: 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  expecting: 'POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc',
  large: `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n${'x'.repeat(300_000)}`,
};

for (const [name, handler] of Object.entries(ANSWERS)) {
  test(`a client that half-closes gets its answer: ${name}`, async (t) => {
    const aborted: string[] = [];
    const { connect } = await startServer(t, (context) => {
      context.requestAborted.addEventListener('abort', () => aborted.push(context.request.method));
      return handler(context);
    });
    for (const [kind, request] of Object.entries(REQUESTS)) {
      for (const apart of [false, true]) {
        const client = await connect();
        await client.write(request);
        if (apart) await delay(1);
        client.halfClose();
        t.is((await within(client.answer(), `an answer to ${kind}`)).text, 'abc', kind);
        t.is(await client.closed, 'end', kind);
      }
    }
    t.deepEqual(aborted, []);
  });

  test(`pipelined requests before a half-close are all answered: ${name}`, async (t) => {
    const { connect } = await startServer(t, handler);
    const client = await connect();
    const requests = [REQUESTS.GET, REQUESTS.POST, REQUESTS.GET, REQUESTS.chunked, REQUESTS.GET];
    void client.write(requests.join(''));
    client.halfClose();
    for (const [i] of requests.entries()) {
      const answer = await within(client.answer(), `answer ${String(i)}`);
      t.is(answer.text, 'abc');
      t.is(answer.headers.has('connection'), i === requests.length - 1, 'the last says close');
    }
    t.is(await client.closed, 'end');
  });
}

// --- bodies that nobody reads ---

test('a connection that ends anyway is not held for an unread body', async (t) => {
  const { connect } = await startServer(t, ({ response }) => response.text('abc'));
  for (const head of [
    'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\nabc',
    'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na',
    'POST / HTTP/1.0\r\nContent-Length: 1000000\r\n\r\nabc',
    'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\nabc',
  ]) {
    const client = await connect();
    const start = performance.now();
    const answer = await client.request(head);
    t.is(answer.text, 'abc');
    t.deepEqual(answer.headers.get('connection'), ['close']);
    t.is(await client.closed, 'end');
    // Kestrel reads for five seconds first.
    t.true(performance.now() - start < 2500, head);
    client.destroy();
  }
});

test('a kept connection reads an unread body before the next request, whenever it comes', async (t) => {
  const { connect, metrics } = await startServer(t, ({ request, response }) =>
    response.text(request.path),
  );
  const client = await connect();
  void client.write('POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n');
  t.is((await client.answer()).text, '/1');
  const body = Buffer.alloc(1_000_000, 'GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n');
  void client.write(body.subarray(0, 500_000));
  await delay(2);
  void client.write(body.subarray(500_000));
  void client.write('GET /2 HTTP/1.1\r\nHost: h\r\n\r\n');
  t.is((await client.answer()).text, '/2');
  t.is(metrics().requests, 2);
});

test('a stop does not wait for an unread body', async (t) => {
  const gate = deferred();
  const { connect, server } = await startServer(t, async ({ response }) => {
    await gate.promise;
    await response.text('abc');
  });
  const client = await connect();
  void client.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc');
  await until(() => server.metrics().requests === 1, 'the request runs');
  const stopped = server.stop();
  gate.resolve();
  t.is((await client.answer()).text, 'abc');
  t.is(await client.closed, 'end');
  client.destroy();
  await within(stopped, 'the stop', 4000);
  t.pass();
});
