import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { RawClient } from '../support/raw-client.js';
import { deferred, until, within } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

test('idle connections are closed, running requests end with Connection: close', async (t) => {
  const gate = deferred();
  let running = 0;
  const { server, connect, port } = await startServer(t, async ({ request, response }) => {
    if (request.path === '/quick') return response.text('quick');
    running++;
    await gate.promise;
    if (request.path === '/write') {
      await response.write('slow ');
      return response.write('write');
    }
    return response.text('slow');
  });
  const idle = await connect();
  t.is((await idle.request('GET /quick HTTP/1.1\r\nHost: h\r\n\r\n')).text, 'quick');
  const silent = await connect();
  const busy = await Promise.all(Array.from({ length: 20 }, () => connect()));
  busy.forEach((client, i) => {
    const path = i % 2 === 0 ? '/text' : '/write';
    void client.write(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
  });
  await until(() => running === 20, 'all of them run');
  let isStopped = false;
  const stopped = server.stop().then(() => {
    isStopped = true;
  });
  t.is(await within(idle.closed, 'the idle connection'), 'end');
  t.is(await within(silent.closed, 'the silent connection'), 'end');
  t.is(idle.peek().length, 0);
  await t.throwsAsync(RawClient.connect(port), { code: 'ECONNREFUSED' });
  t.false(isStopped);
  gate.resolve();
  for (const [i, client] of busy.entries()) {
    const answer = await client.answer();
    t.is(answer.text, i % 2 === 0 ? 'slow' : 'slow write');
    t.deepEqual(answer.headers.get('connection'), ['close']);
    t.is(await client.closed, 'end');
  }
  await within(stopped, 'the stop');
  t.is(server.metrics().connections, 0);
  t.is(server.metrics().activeRequests, 0);
});

test('an answer that has begun before the stop is finished after it', async (t) => {
  const gate = deferred();
  const { server, connect } = await startServer(t, async ({ response }) => {
    await response.write('a');
    await gate.promise;
    await response.write('b');
  });
  const client = await connect();
  void client.write(GET);
  await until(() => client.received > 0, 'the answer has begun');
  const stopped = server.stop();
  await delay(5);
  gate.resolve();
  t.is((await client.answer()).text, 'ab');
  t.is(await client.closed, 'end');
  await within(stopped, 'the stop');
});

test('pipelined requests that were read before the stop are answered', async (t) => {
  const gate = deferred();
  let running = 0;
  const { server, connect } = await startServer(t, async ({ request, response }) => {
    running++;
    await gate.promise;
    return response.text(request.path);
  });
  const client = await connect();
  for (let i = 0; i < 10; i++) void client.write(`GET /${String(i)} HTTP/1.1\r\nHost: h\r\n\r\n`);
  await until(() => running === 10, 'all of them run');
  const stopped = server.stop();
  gate.resolve();
  for (let i = 0; i < 10; i++) {
    const answer = await client.answer();
    t.is(answer.text, `/${String(i)}`);
    // Only the last one says so.
    t.is(answer.headers.has('connection'), i === 9, String(i));
  }
  t.is(await client.closed, 'end');
  await within(stopped, 'the stop');
});

test('a large answer to a slow reader is sent whole before the stop is over', async (t) => {
  const { server, connect } = await startServer(t, ({ response }) =>
    response.bytes(Buffer.alloc(20_000_000)),
  );
  const client = await connect();
  client.pause();
  void client.write(GET);
  await until(() => server.metrics().requests === 1, 'the server has read');
  const stopped = server.stop();
  await delay(20);
  client.resume();
  t.is((await within(client.answer(), 'the answer')).body.length, 20_000_000);
  await within(stopped, 'the stop');
});

test('stop is idempotent: every call waits for the same end', async (t) => {
  const gate = deferred();
  let running = 0;
  const { server, connect } = await startServer(t, async ({ response }) => {
    running++;
    await gate.promise;
    return response.text('a');
  });
  const client = await connect();
  void client.write(GET);
  await until(() => running === 1, 'it runs');
  let over = 0;
  const stops = Array.from({ length: 5 }, () =>
    server.stop().then(() => {
      over++;
    }),
  );
  await delay(20);
  t.is(over, 0);
  gate.resolve();
  t.is((await client.answer()).text, 'a');
  await within(Promise.all(stops), 'the stops');
  await server.stop();
  await server.stop(AbortSignal.abort());
  t.is(over, 5);
});

test('a signal ends the wait: what is left is aborted', async (t) => {
  for (const kind of ['aborted before', 'aborted meanwhile', 'of a second call']) {
    let running = 0;
    let aborted = 0;
    const over = deferred();
    const { server, connect } = await startServer(t, async (context) => {
      running++;
      await new Promise((resolve) => {
        context.requestAborted.addEventListener('abort', resolve);
      });
      aborted++;
      // Reading and writing go nowhere, and fail in nothing.
      t.is(context.request.path, '/');
      t.is(context.request.headers.get('Host'), 'h');
      t.is(typeof context.connection.id, 'string');
      await context.response.write('nobody');
      await context.response.write('nobody');
      over.resolve();
    });
    const clients = await Promise.all(Array.from({ length: 5 }, () => connect()));
    for (const client of clients) void client.write(GET);
    await until(() => running === 5, 'all of them run');
    const controller = new AbortController();
    if (kind === 'aborted before') {
      await within(server.stop(AbortSignal.abort()), 'the stop');
    } else {
      const stopped = kind === 'aborted meanwhile' ? server.stop(controller.signal) : server.stop();
      await delay(10);
      t.is(aborted, 0);
      if (kind === 'of a second call') await within(server.stop(AbortSignal.abort()), 'the stop');
      else controller.abort();
      await within(stopped, 'the stop');
    }
    for (const client of clients) {
      t.is(await within(client.closed, 'the end of a connection'), 'reset', kind);
    }
    await until(() => aborted === 5, 'all of them have heard');
    await within(over.promise, 'a handler');
    t.is(server.metrics().connections, 0);
  }
});

test('a handler may stop the server', async (t) => {
  for (const later of [false, true]) {
    for (const requests of [1, 20]) {
      const stopped = deferred();
      const { server, connect } = await startServer(t, async ({ request, response }) => {
        if (later) await delay(1);
        if (request.path === '/') server.stop().then(stopped.resolve, stopped.reject);
        return response.text(request.path);
      });
      const client = await connect();
      const others = Array.from(
        { length: requests - 1 },
        () => 'GET /n HTTP/1.1\r\nHost: h\r\n\r\n',
      );
      void client.write([GET, ...others].join(''));
      t.is((await client.answer()).text, '/');
      await within(stopped.promise, 'the stop');
      await client.closed;
    }
  }
});

test('a handler may stop the server by force, and wait for it', async (t) => {
  for (const later of [false, true]) {
    const done = deferred();
    const { server, connect } = await startServer(t, async ({ response }) => {
      if (later) await delay(1);
      await server.stop(AbortSignal.abort());
      await response.text('nobody');
      done.resolve();
    });
    const client = await connect();
    void client.write(GET.repeat(10));
    t.is(await within(client.closed, 'the end of the connection'), 'reset');
    await within(done.promise, 'the handler');
  }
});

test('starting twice, and after a stop, is refused; a stop before the start does nothing', async (t) => {
  const application = createApplication(({ response }) => response.text('a'));
  const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }] });
  await server.stop();
  await server.start(application);
  await t.throwsAsync(server.start(application), { code: 'WH_ERR_SERVER_STARTED' });
  const client = await RawClient.connect(Number(new URL(server.addresses[0]).port));
  t.is((await client.request(GET)).text, 'a');
  const stopped = server.stop();
  await t.throwsAsync(server.start(application), { code: 'WH_ERR_SERVER_STARTED' });
  await stopped;
  await t.throwsAsync(server.start(application), { code: 'WH_ERR_SERVER_STARTED' });
  client.destroy();
});

test('a start whose signal has aborted does not listen, and may be tried again', async (t) => {
  const application = createApplication(({ response }) => response.text('a'));
  const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }] });
  const reason = new Error('mine');
  t.is(await t.throwsAsync(server.start(application, AbortSignal.abort(reason))), reason);
  t.deepEqual(server.addresses, []);
  await server.start(application);
  t.is(server.addresses.length, 1);
  await server.stop();
});

test('a stop under load loses no request that was begun', async (t) => {
  for (let round = 0; round < 5; round++) {
    const { server, port, metrics } = await startServer(t, async ({ request, response }) => {
      if (request.path === '/later') await delay(2);
      await response.text('a');
    });
    let answered = 0;
    let cut = 0;
    const visitor = async (n: number): Promise<void> => {
      const client = await RawClient.connect(port);
      const path = n % 2 === 0 ? '/later' : '/now';
      for (;;) {
        void client.write(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
        try {
          const answer = await client.answer();
          t.is(answer.text, 'a');
          answered++;
          if (answer.headers.has('connection')) break;
        } catch {
          // The connection was closed under a request that had not been read: no byte of an answer.
          t.is(client.peek().length, 0);
          cut++;
          break;
        }
      }
      client.destroy();
    };
    const visitors = Array.from({ length: 16 }, (_, n) => visitor(n));
    await until(() => metrics().answers > 200, 'there is load');
    await within(server.stop(), 'the stop');
    await within(Promise.all(visitors), 'the visitors');
    t.is(server.metrics().answers, server.metrics().requests);
    t.is(answered, server.metrics().answers);
    t.true(cut <= 16);
  }
});

test('half a head does not hold a stop for ever', async (t) => {
  const { server, connect } = await startServer(
    t,
    async ({ request, response }) => {
      await request.body.bytes();
      await response.text('a');
    },
    { limits: { requestHeadersTimeout: 200 } },
  );
  const half = await connect();
  void half.write('GET / HTTP/1.1\r\nHo');
  await until(() => server.metrics().bytesReceived > 0, 'the server has read');
  const stopped = server.stop();
  t.is((await within(half.answer(), 'the refusal')).status, 408);
  half.destroy();
  await within(stopped, 'the stop');
});
