/** What node:diagnostics_channel is told. Tests run one after the other: channels are the process's. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type {
  Http2FloodMessage,
  RequestMessage,
  RequestRefusedMessage,
  ServerStartMessage,
  ServerStopMessage,
} from '../../lib/server/diagnostics.js';
import { ChannelNames } from '../../lib/server/diagnostics.js';
import { HttpContext } from '../../lib/http/http-context.js';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { frame } from '../support/h2/frames.js';
import { startHttp2 } from '../support/h2/server.js';
import { captureErrors } from '../support/quiet-console.js';
import { deferred, until } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

captureErrors();

const GET = 'GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n';
const BAD = 'GET /a b HTTP/1.1\r\n\r\n';

/** What a channel publishes while the test runs, or until `end` is called. */
function listen<T>(t: ExecutionContext, name: string): { messages: T[]; end: () => void } {
  const messages: T[] = [];
  const listener = (message: unknown): void => {
    messages.push(message as T);
  };
  subscribe(name, listener);
  const end = (): void => {
    unsubscribe(name, listener);
  };
  t.teardown(end);
  return { messages, end };
}

test.serial('the start and the stop of a server', async (t) => {
  const starts = listen<ServerStartMessage>(t, ChannelNames.serverStart).messages;
  const stops = listen<ServerStopMessage>(t, ChannelNames.serverStop).messages;
  const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }] });
  await server.start(createApplication(({ response }) => response.text('a')));
  t.is(starts.length, 1);
  t.is(starts[0].server, server);
  t.deepEqual([...starts[0].addresses], [...server.addresses]);
  t.is(stops.length, 0);
  await Promise.all([server.stop(), server.stop()]);
  t.is(stops.length, 1);
  t.is(stops[0].server, server);
  t.false(stops[0].forced);
  await server.stop();
  t.is(stops.length, 1);
});

test.serial('a stop that had to abort something says so', async (t) => {
  const stops = listen<ServerStopMessage>(t, ChannelNames.serverStop).messages;
  const gate = deferred();
  const { connect, server, metrics } = await startServer(t, () => gate.promise);
  const client = await connect();
  void client.write(GET);
  await until(() => metrics().requests === 1, 'the request runs');
  await server.stop(AbortSignal.abort());
  gate.resolve();
  t.true(stops[0].forced);
});

test.serial('a request is told at its start and at its end, by one object', async (t) => {
  const starts = listen<RequestMessage>(t, ChannelNames.requestStart).messages;
  const stops = listen<RequestMessage>(t, ChannelNames.requestStop).messages;
  let startsSeen = -1;
  const { connect, server } = await startServer(t, ({ request, response }) => {
    startsSeen = starts.length;
    if (request.path === '/fails') throw new Error('mine');
    response.statusCode = 201;
    return response.text('a');
  });
  const client = await connect();
  await client.request('POST /x?y HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n');
  t.is(startsSeen, 1);
  t.is(stops.length, 1);
  t.is(stops[0], starts[0]);
  t.like(stops[0], {
    server,
    method: 'POST',
    rawTarget: '/x?y',
    protocol: 'HTTP/1.1',
    statusCode: 201,
    aborted: false,
    timedOut: false,
    error: undefined,
  });
  t.true(stops[0].context instanceof HttpContext);
  t.true((stops[0].duration ?? -1) >= 0);
  t.true(stops[0].startTime > 0);
  await client.request('GET /fails HTTP/1.1\r\nHost: h\r\n\r\n');
  t.like(stops[1], { rawTarget: '/fails', statusCode: 500 });
  t.is((stops[1].error as Error).message, 'mine');
});

test.serial('a handler that waits is told when it is done; the context is usable', async (t) => {
  const gate = deferred();
  let seen = '';
  const listener = (message: unknown): void => {
    const { context, duration } = message as RequestMessage;
    if (duration !== undefined) seen = (context as HttpContext).request.path;
  };
  subscribe(ChannelNames.requestStop, listener);
  t.teardown(() => unsubscribe(ChannelNames.requestStop, listener));
  const { connect, metrics } = await startServer(t, async ({ response }) => {
    await gate.promise;
    await response.text('a');
  });
  const client = await connect();
  void client.write(GET);
  await until(() => metrics().requests === 1, 'the request runs');
  t.is(seen, '');
  gate.resolve();
  await client.answer();
  await until(() => seen === '/a', 'the end is told');
  t.pass();
});

test.serial('who stops listening while a request runs, and who begins', async (t) => {
  const first = deferred();
  const starts = listen<RequestMessage>(t, ChannelNames.requestStart);
  const stops = listen<RequestMessage>(t, ChannelNames.requestStop);
  const { connect, metrics } = await startServer(t, async ({ request, response }) => {
    if (request.path === '/first') await first.promise;
    await response.text('a');
  });
  const client = await connect();
  void client.write('GET /first HTTP/1.1\r\nHost: h\r\n\r\n');
  await until(() => metrics().requests === 1, 'the request runs');
  starts.end();
  stops.end();
  first.resolve();
  await client.answer();
  await client.request(GET);
  t.is(starts.messages.length, 1);
  t.is(stops.messages.length, 0);
  const later = listen<RequestMessage>(t, ChannelNames.requestStop).messages;
  await client.request(GET);
  await until(() => later.length === 1, 'the end is told');
  t.is(later[0].rawTarget, '/a?b');
});

test.serial('a client that leaves is told', async (t) => {
  const stops = listen<RequestMessage>(t, ChannelNames.requestStop).messages;
  const { connect, metrics } = await startServer(t, ({ requestAborted }) => {
    return new Promise((resolve) => {
      requestAborted.addEventListener('abort', () => {
        resolve();
      });
    });
  });
  const client = await connect();
  void client.write(GET);
  await until(() => metrics().requests === 1, 'the request runs');
  await client.reset();
  await until(() => stops.length === 1, 'the end is told');
  t.true(stops[0].aborted);
});

test.serial('a listener that throws costs no request', async (t) => {
  const uncaught: unknown[] = [];
  const onUncaught = (error: unknown): void => {
    uncaught.push(error);
  };
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', onUncaught);
  const throwing = (): never => {
    throw new Error('mine');
  };
  const names = [ChannelNames.requestStart, ChannelNames.requestStop, ChannelNames.requestRefused];
  for (const name of names) subscribe(name, throwing);
  t.teardown(() => {
    for (const name of names) unsubscribe(name, throwing);
    process.off('uncaughtException', onUncaught);
    for (const listener of others) process.on('uncaughtException', listener);
  });
  const { connect, once } = await startServer(t, ({ response }) => response.text('a'));
  const client = await connect();
  for (let i = 0; i < 2; i++) t.is((await client.request(GET)).text, 'a');
  t.is((await once(BAD)).status, 400);
  await until(() => uncaught.length === 5, 'Node reports what listeners throw');
});

test.serial('a refused request is told with its peer and what was at fault', async (t) => {
  const refused = listen<RequestRefusedMessage>(t, ChannelNames.requestRefused).messages;
  const { connect, server } = await startServer(t, ({ response }) => response.text('a'));
  const rows = [
    [BAD, 400, 'invalidRequestLine', 'GET /a b HTTP/1.1'],
    ['GET / HTTP/1.1\r\nHost: h\r\nX: \xe9\r\n\r\nGET /next', 400, 'invalid', 'GET / HTTP/1.1'],
    [`GET /${'x'.repeat(9000)} HTTP/1.1\r\n\r\n`, 414, 'requestLineTooLong', 'GET /xxx'],
    ['GET / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n', 417, 'expectationFailed', 'Expect: x'],
  ] as const;
  for (const [i, [bytes, status, reason, input]] of rows.entries()) {
    const client = await connect();
    const { localPort } = client.socket;
    t.is((await client.request(bytes)).status, status);
    await until(() => refused.length === i + 1, 'the refusal is told');
    const message = refused[i];
    t.like(message, {
      server,
      statusCode: status,
      remoteAddress: '127.0.0.1',
      remotePort: localPort,
      dispatched: false,
    });
    t.true(message.reason.startsWith(reason), message.reason);
    t.true(message.input.includes(input), JSON.stringify(message.input));
    t.true(message.input.length <= 128);
    t.true(message.duration >= 0);
    t.regex(message.connectionId, /^[0-9A-Z]+$/);
  }
  t.is(new Set(refused.map(({ connectionId }) => connectionId)).size, rows.length);
});

test.serial('on a Unix socket a refusal has no address', async (t) => {
  const refused = listen<RequestRefusedMessage>(t, ChannelNames.requestRefused).messages;
  const path = `/tmp/windhover-diagnostics-${String(process.pid)}.sock`;
  const { server } = await startServer(t, ({ response }) => response.text('a'), {
    endpoints: [{ host: '127.0.0.1', port: 0 }, { path }],
  });
  const { RawClient } = await import('../support/raw-client.js');
  const client = await RawClient.connect({ path });
  t.is((await client.request(BAD)).status, 400);
  client.destroy();
  await until(() => refused.length === 1, 'the refusal is told');
  t.is(refused[0].remoteAddress, undefined);
  t.is(refused[0].remotePort, 0);
  t.is(refused[0].server, server);
});

test.serial('who begins to listen after the start hears of the first refusal', async (t) => {
  const { once } = await startServer(t, ({ response }) => response.text('a'));
  const refused = listen<RequestRefusedMessage>(t, ChannelNames.requestRefused).messages;
  for (let i = 1; i <= 3; i++) {
    await once(BAD);
    await until(() => refused.length === i, 'the refusal is told');
  }
  t.pass();
});

test.serial('a body that is refused is told of as such, and with its request', async (t) => {
  const refused = listen<RequestRefusedMessage>(t, ChannelNames.requestRefused).messages;
  const stops = listen<RequestMessage>(t, ChannelNames.requestStop).messages;
  const { once } = await startServer(t, async ({ request, response }) => {
    await request.body.bytes();
    await response.text('a');
  });
  const head = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n';
  t.is((await once(`${head}3\r\nabc\r\nzz\r\n`)).status, 400);
  await until(() => refused.length === 1 && stops.length === 1, 'both are told');
  t.true(refused[0].dispatched);
  t.is(refused[0].reason, 'invalidChunk');
  t.true(refused[0].input.includes('zz'));
  t.is(stops[0].statusCode, 400);
});

test.serial('a connection that a flood ends is told of, and logged', async (t) => {
  const floods = listen<Http2FloodMessage>(t, ChannelNames.http2Flood).messages;
  const lines: object[] = [];
  const write = (level: string) => (details: object) => {
    lines.push({ level, ...details });
  };
  const logger = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
  const { open, server } = await startHttp2(t, 'h2c', ({ response }) => response.text('a'), {
    limits: { http2: { maxUnknownFrames: 3 } },
    logger,
  });
  const client = await open();
  await client.fetch(client.get());
  client.send(...Array.from({ length: 4 }, () => frame(0xbe, 0, 0, 'x')));
  t.is((await client.takeGoaway()).code, 'ENHANCE_YOUR_CALM');
  await until(() => floods.length === 1, 'the flood is told');
  const { connectionId, ...told } = floods[0];
  const { localPort } = client.socket;
  const details = { kind: 'unknownFrames', remoteAddress: '127.0.0.1', remotePort: localPort };
  t.deepEqual(told, { server, ...details } as typeof told);
  t.regex(connectionId, /^[0-9A-Z]+$/);
  const line = lines.find((other) => 'event' in other && other.event === 'Http2Flood');
  t.deepEqual(line, {
    level: 'debug',
    eventId: 1011,
    event: 'Http2Flood',
    connectionId,
    ...details,
  });
});
