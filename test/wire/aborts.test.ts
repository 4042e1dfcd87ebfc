import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { deferred, until, within } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

test('requestAborted fires when the client resets the connection', async (t) => {
  const begun = deferred();
  const aborted = deferred<unknown>();
  const done = deferred();
  const { connect, reported, metrics } = await startServer(t, async (context) => {
    context.requestAborted.addEventListener('abort', () => {
      aborted.resolve(context.requestAborted.reason);
    });
    begun.resolve();
    await aborted.promise;
    t.true(context.requestAborted.aborted);
    t.true(context.request.aborted.aborted);
    // Nobody reads what follows, and none of it fails.
    for (let i = 0; i < 10; i++) await context.response.write(Buffer.alloc(100_000));
    await context.response.end();
    done.resolve();
  });
  const client = await connect();
  void client.write(GET);
  await begun.promise;
  await client.reset();
  t.is(((await within(aborted.promise, 'the signal')) as Error).name, 'AbortError');
  await within(done.promise, 'the handler');
  await until(() => metrics().activeRequests === 0, 'the request is over');
  t.is(metrics().connections, 0);
  t.deepEqual(reported, []);
});

test('every way to answer is silent for a client that has gone', async (t) => {
  const gone = deferred();
  let begun = 0;
  const results: string[] = [];
  const { connect, reported, metrics } = await startServer(t, async ({ request, response }) => {
    begun++;
    await gone.promise;
    await delay(5);
    switch (request.path) {
      case '/text':
        await response.text('a');
        break;
      case '/json':
        await response.json({ a: 1 });
        break;
      case '/bytes':
        await response.bytes(Buffer.alloc(1_000_000));
        break;
      case '/length':
        response.contentLength = 5;
        await response.write('abcde');
        break;
      case '/write':
        await response.write('a');
        await response.write(Buffer.alloc(1_000_000));
        break;
      case '/end':
        await response.end();
        break;
      default:
        throw new Error('a failure that nobody hears of');
    }
    results.push(request.path);
  });
  const paths = ['/text', '/json', '/bytes', '/length', '/write', '/end', '/throw'];
  const clients = await Promise.all(paths.map(() => connect()));
  clients.forEach((client, i) => {
    void client.write(`GET ${paths[i]} HTTP/1.1\r\nHost: h\r\n\r\n`);
  });
  await until(() => begun === paths.length, 'all of them run');
  await Promise.all(clients.map((client) => client.reset()));
  await until(() => metrics().connections === 0, 'the server has noticed');
  gone.resolve();
  await until(() => metrics().activeRequests === 0, 'all of them are over');
  t.deepEqual(results.sort(), paths.filter((path) => path !== '/throw').sort());
  t.is(metrics().pinnedBuffers, 0);
  t.deepEqual(reported, [], 'what breaks because the client has gone is no failure');
});

test('a client that closes while an answer streams is noticed at the next write', async (t) => {
  const aborted = deferred();
  let writes = 0;
  const { connect, metrics } = await startServer(t, async (context) => {
    context.requestAborted.addEventListener('abort', () => {
      aborted.resolve();
    });
    while (!context.requestAborted.aborted) {
      await context.response.write('tick\n');
      writes++;
      await delay(5);
    }
  });
  const client = await connect();
  void client.write(GET);
  await until(() => client.received > 0, 'the answer has begun');
  client.destroy();
  await within(aborted.promise, 'the signal');
  t.true(writes > 0);
  await until(() => metrics().activeRequests === 0, 'the request is over');
});

test('a writer that waits for room is let go when the client resets', async (t) => {
  const waiting = deferred();
  const done = deferred();
  const { connect } = await startServer(t, async ({ response }) => {
    for (let i = 0; i < 100; i++) {
      const room = response.write(Buffer.alloc(1_000_000));
      if (i === 8) waiting.resolve();
      await room;
    }
    done.resolve();
  });
  const client = await connect();
  client.pause();
  void client.write(GET);
  await Promise.race([waiting.promise, delay(300)]);
  await client.reset();
  await within(done.promise, 'the writer goes on');
  t.pass();
});

test('requestAborted asked for after the fact has aborted already', async (t) => {
  const begun = deferred();
  const seen = deferred<boolean>();
  const { connect, metrics } = await startServer(t, async (context) => {
    begun.resolve();
    await until(() => metrics().connections === 0, 'the connection is gone');
    seen.resolve(context.requestAborted.aborted);
  });
  const client = await connect();
  void client.write(GET);
  await begun.promise;
  await client.reset();
  t.true(await within(seen.promise, 'the handler'));
});

test('requestAborted does not fire for a request that is answered', async (t) => {
  let fired = 0;
  const { connect, metrics } = await startServer(t, async (context) => {
    context.requestAborted.addEventListener('abort', () => fired++);
    await delay(1);
    await context.response.text('a');
  });
  const client = await connect();
  for (let i = 0; i < 5; i++) t.is((await client.request(GET)).text, 'a');
  await client.reset();
  await until(() => metrics().connections === 0, 'the server has noticed');
  t.is(fired, 0);
});

test('all pipelined requests of a connection hear that it has gone', async (t) => {
  let begun = 0;
  let fired = 0;
  const { connect, metrics } = await startServer(t, async (context) => {
    begun++;
    await new Promise((resolve) => {
      context.requestAborted.addEventListener('abort', resolve);
    });
    fired++;
    await context.response.text('a');
  });
  const client = await connect();
  void client.write(GET.repeat(10));
  await until(() => begun === 10, 'all of them run');
  await client.reset();
  await until(() => fired === 10, 'all of them have heard');
  await until(() => metrics().activeRequests === 0, 'all of them are over');
  t.is(begun, 10);
});

test('context.abort() resets the connection and aborts its own signal', async (t) => {
  const { connect, reported } = await startServer(t, async (context) => {
    t.false(context.requestAborted.aborted);
    context.abort();
    t.true(context.requestAborted.aborted);
    context.abort();
    await context.response.write('nobody reads this');
  });
  const client = await connect();
  void client.write(GET);
  t.is(await client.closed, 'reset');
  t.is(client.received, 0);
  t.deepEqual(reported, []);
});

test('many clients that come and go at random leave nothing behind', async (t) => {
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 0x1_0000_0000;
  };
  const { connect, metrics } = await startServer(t, async ({ request, response }) => {
    const kind = Number(request.path.slice(1)) % 4;
    if (random() < 0.5) await delay(random() * 5);
    if (kind === 0) await response.text('a');
    else if (kind === 1) await response.bytes(Buffer.alloc(200_000));
    else if (kind === 2) await response.text(String((await request.body.bytes()).length));
    else for (let i = 0; i < 20; i++) await response.write(Buffer.alloc(20_000));
  });
  const visit = async (n: number): Promise<void> => {
    const client = await connect();
    if (random() < 0.3) client.pause();
    for (let i = 0; i < 4; i++) {
      const body = n % 4 === 2 ? 'Content-Length: 10\r\n\r\n0123456789' : '\r\n';
      const request = `POST /${String(n)} HTTP/1.1\r\nHost: h\r\n${body}`;
      void client.write(request.slice(0, random() < 0.8 ? undefined : random() * request.length));
    }
    await delay(random() * 15);
    if (random() < 0.5) await client.reset();
    else client.destroy();
  };
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 25 }, (_, i) => visit(round * 25 + i)));
  }
  await until(() => metrics().connections === 0, 'all connections are gone');
  await until(() => metrics().activeRequests === 0, 'all requests are over');
  t.is(metrics().pinnedBuffers, 0);
  t.true(metrics().requests > 200);
});
