/** What a WindhoverServer does between the call of stop and its end; see docs/graceful-stop.md. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ShutdownOptions } from '../../lib/server/options.js';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { RawClient } from '../support/raw-client.js';
import { deferred, until, within } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

test('everybody is told before anything is refused', async (t) => {
  const gate = deferred();
  const { server, connect, port } = await startServer(
    t,
    ({ response }) => response.text(String(server.isReady)),
    { shutdown: { preStopDelay: 100, drainWindow: 10_000 } },
  );
  t.true(server.isReady);
  const seen: string[] = [];
  server.stopping.addEventListener('abort', () => {
    seen.push(`signal ${String(server.isReady)}`);
    // Whoever hears of it may stop as well.
    void server.stop().then(() => seen.push('stopped'));
  });
  server.onStopping(async () => {
    seen.push('hook');
    await gate.promise;
  });
  const old = await connect();
  const stopped = server.stop();
  t.deepEqual(seen, ['signal false', 'hook']);
  t.false(server.isReady);
  const began = performance.now();
  const late = await connect();
  for (const client of [old, late]) {
    const answer = await client.request(GET);
    t.is(answer.text, 'false');
    t.false(answer.headers.has('connection'));
  }
  late.destroy();
  gate.resolve();
  await until(async () => {
    const client = await RawClient.connect(port).catch(() => undefined);
    client?.destroy();
    return client === undefined;
  }, 'connections are refused');
  t.true(performance.now() - began > 90);
  const answer = await old.request(GET);
  t.deepEqual(answer.headers.get('connection'), ['close']);
  await within(
    Promise.all([stopped, until(() => seen.length === 3, 'the other stop')]),
    'the stop',
  );
  t.deepEqual(seen, ['signal false', 'hook', 'stopped']);
  t.false(server.isReady);
});

test('a hook that fails fails the stop, after everything is closed', async (t) => {
  for (const count of [1, 2]) {
    const { server, port } = await startServer(t, ({ response }) => response.text('a'));
    const errors = [new Error('first'), new Error('second')].slice(0, count);
    for (const error of errors) server.onStopping(() => Promise.reject(error));
    const [one, two] = await Promise.allSettled([server.stop(), server.stop()]);
    t.deepEqual(one, two);
    const { reason } = one as PromiseRejectedResult;
    if (count === 1) t.is(reason, errors[0]);
    else t.deepEqual((reason as AggregateError).errors, errors);
    await t.throwsAsync(RawClient.connect(port), { code: 'ECONNREFUSED' });
    t.is(server.metrics().connections, 0);
  }
});

test('a hook that comes late runs at once; one that is no function is refused', async (t) => {
  const { server } = await startServer(t, ({ response }) => response.text('a'));
  t.throws(() => server.onStopping({} as never), { code: 'WH_ERR_INVALID_ARGUMENT' });
  server.onStopping(() => undefined);
  const stopped = server.stop();
  let ran = false;
  server.onStopping(() => {
    ran = true;
    return new Promise(() => undefined);
  });
  t.true(ran);
  await within(stopped, 'the stop');
});

test('a signal ends the wait for hooks and for the delay', async (t) => {
  for (const when of ['before', 'meanwhile', 'in a second call']) {
    const { server, connect } = await startServer(t, ({ response }) => response.text('a'), {
      shutdown: { preStopDelay: 1_000_000 },
    });
    let hooks = 0;
    server.onStopping(() => {
      hooks++;
      return new Promise(() => undefined);
    });
    const client = await connect();
    t.is((await client.request(GET)).text, 'a');
    const controller = new AbortController();
    if (when === 'before') controller.abort();
    const stopped = when === 'in a second call' ? server.stop() : server.stop(controller.signal);
    if (when === 'in a second call') void server.stop(controller.signal);
    t.is(hooks, 1);
    controller.abort();
    await within(stopped, 'the stop');
    t.is(await client.closed, 'reset');
  }
});

test('in the drain window the next request of a connection is answered, with Connection: close', async (t) => {
  const { server, connect } = await startServer(t, ({ response }) => response.text('a'), {
    shutdown: { drainWindow: 10_000 },
  });
  const clients = await Promise.all(Array.from({ length: 10 }, () => connect()));
  for (const client of clients.slice(5)) await client.request(GET);
  const stopped = server.stop();
  for (const client of clients) {
    const answer = await client.request(GET);
    t.is(answer.text, 'a');
    t.deepEqual(answer.headers.get('connection'), ['close']);
    t.is(await client.closed, 'end');
    client.destroy();
  }
  await within(stopped, 'the stop');
});

test('connections that stay idle end with the window', async (t) => {
  for (const drainWindow of [0, 100]) {
    const { server, connect } = await startServer(t, ({ response }) => response.text('a'), {
      shutdown: { drainWindow },
    });
    const used = await connect();
    await used.request(GET);
    const fresh = await connect();
    await until(() => server.metrics().connections === 2, 'both are accepted');
    const began = performance.now();
    const stopped = server.stop();
    t.is(await within(used.closed, 'the end of a used connection'), 'end');
    t.is(await within(fresh.closed, 'the end of a fresh connection'), 'end');
    const took = performance.now() - began;
    t.true(took >= drainWindow - 1, String(took));
    used.destroy();
    fresh.destroy();
    await within(stopped, 'the stop');
  }
});

test('half a head cannot hold a stop', async (t) => {
  const { server, connect } = await startServer(t, ({ response }) => response.text('a'), {
    shutdown: { drainWindow: 50, timeout: null },
    limits: { requestHeadersTimeout: null, keepAliveTimeout: null },
  });
  const half = await connect();
  void half.write('GET / HTTP/1.1\r\nHo');
  await until(() => server.metrics().bytesReceived > 0, 'the server has read');
  const stopped = server.stop();
  const answer = await within(half.answer(), 'the refusal');
  t.is(answer.status, 408);
  t.deepEqual(answer.headers.get('connection'), ['close']);
  half.destroy();
  await within(stopped, 'the stop');
});

test('what runs longer than the timeout is aborted', async (t) => {
  let running = 0;
  let aborted = 0;
  const { server, connect } = await startServer(
    t,
    async ({ request, requestAborted, response }) => {
      running++;
      if (request.path === '/upload') {
        await t.throwsAsync(Promise.resolve(request.body.bytes()));
      } else {
        if (request.path === '/write') await response.write('a');
        await once(requestAborted, 'abort');
      }
      aborted++;
    },
    { shutdown: { timeout: 50 } },
  );
  const clients = await Promise.all(['/', '/write', '/upload'].map(() => connect()));
  void clients[0].write(GET);
  void clients[1].write('GET /write HTTP/1.1\r\nHost: h\r\n\r\n');
  void clients[2].write('POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab');
  await until(() => running === 3, 'all of them run');
  await within(server.stop(), 'the stop');
  // They have heard of it before the stop settled.
  t.is(aborted, 3);
  for (const client of clients) t.is(await client.closed, 'reset');
});

test('a handler that does not heed the abort holds the stop for a second at most', async (t) => {
  const gate = deferred();
  let running = 0;
  const { server, connect } = await startServer(
    t,
    async ({ response }) => {
      running++;
      await gate.promise;
      return response.text('nobody');
    },
    { shutdown: { timeout: 10 } },
  );
  const client = await connect();
  void client.write(GET);
  await until(() => running === 1, 'it runs');
  await within(server.stop(), 'the stop', 5_000);
  t.is(await client.closed, 'reset');
  gate.resolve();
});

test('a timeout of null waits for as long as it takes', async (t) => {
  const gate = deferred();
  let running = 0;
  const { server, connect } = await startServer(
    t,
    async ({ response }) => {
      running++;
      await gate.promise;
      return response.text('a');
    },
    { shutdown: { timeout: null } },
  );
  const client = await connect();
  void client.write(GET);
  await until(() => running === 1, 'it runs');
  const stopped = server.stop();
  gate.resolve();
  t.is((await client.answer()).text, 'a');
  await within(stopped, 'the stop');
});

test('the address is free while connections drain', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'windhover-stop-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  for (const path of [undefined, join(folder, 's.sock')]) {
    const gate = deferred();
    let running = 0;
    const application = createApplication(async ({ request, response }) => {
      running++;
      if (request.path === '/slow') await gate.promise;
      return response.text(request.path);
    });
    const make = (port: number): WindhoverServer =>
      new WindhoverServer({ endpoints: [path === undefined ? { port } : { path }] });
    const first = make(0);
    await first.start(application);
    const port = path === undefined ? Number(new URL(first.addresses[0]).port) : 0;
    const target = path === undefined ? { port, host: '127.0.0.1' } : { path };
    const slow = await RawClient.connect(target);
    void slow.write('GET /slow HTTP/1.1\r\nHost: h\r\n\r\n');
    await until(() => running === 1, 'it runs');
    const stopped = first.stop();
    // Mostly at once; a handshake under way on the machine may take a moment.
    let second = make(port);
    await until(async () => {
      try {
        await second.start(application);
        return true;
      } catch (error) {
        if ((error as { code?: string }).code !== 'WH_ERR_ADDRESS_IN_USE') throw error;
        second = make(port);
        return false;
      }
    }, 'the second server listens');
    const next = await RawClient.connect(target);
    t.is((await next.request('GET /next HTTP/1.1\r\nHost: h\r\n\r\n')).text, '/next');
    gate.resolve();
    t.is((await slow.answer()).text, '/slow');
    slow.destroy();
    await within(stopped, 'the stop');
    t.is((await next.request('GET /again HTTP/1.1\r\nHost: h\r\n\r\n')).text, '/again');
    next.destroy();
    await second.stop();
  }
});

test('a server of another kind can have the port as well', async (t) => {
  const { server, port } = await startServer(t, ({ response }) => response.text('a'));
  await server.stop();
  const other = createServer().listen(port, '127.0.0.1');
  await once(other, 'listening');
  other.close();
  t.pass();
});

test('options of a stop are checked', (t) => {
  const make = (shutdown: unknown): WindhoverServer =>
    new WindhoverServer({ shutdown: shutdown as ShutdownOptions });
  for (const [shutdown, type, name] of [
    [1, TypeError, 'shutdown'],
    [null, TypeError, 'shutdown'],
    [[], TypeError, 'shutdown'],
    [{ drain: 1 }, TypeError, 'shutdown.drain'],
    [{ preStopDelay: '1' }, TypeError, 'shutdown.preStopDelay'],
    [{ preStopDelay: -1 }, RangeError, 'shutdown.preStopDelay'],
    [{ preStopDelay: Infinity }, RangeError, 'shutdown.preStopDelay'],
    [{ drainWindow: NaN }, RangeError, 'shutdown.drainWindow'],
    [{ drainWindow: null }, TypeError, 'shutdown.drainWindow'],
    [{ drainWindow: 2_147_483_648 }, RangeError, 'shutdown.drainWindow'],
    [{ timeout: {} }, TypeError, 'shutdown.timeout'],
    [{ timeout: -5 }, RangeError, 'shutdown.timeout'],
  ] as const) {
    const error = t.throws(() => make(shutdown), { code: 'WH_ERR_INVALID_OPTION' });
    t.true(error instanceof type, name);
    t.true(error?.message.includes(`'${name}'`), error?.message);
  }
  for (const timeout of [0, 1.5, 2_147_483_647, null, Infinity, undefined]) make({ timeout });
  for (const time of [0, 0.5, 2_147_483_647, undefined]) {
    make({ preStopDelay: time, drainWindow: time });
  }
  t.notThrows(() => make(undefined));
});
