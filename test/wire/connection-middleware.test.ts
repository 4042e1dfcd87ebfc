/** What middleware sees of connections, and whom it lets in. */
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { connectionLogging } from '../../lib/server/connections.js';
import type {
  Connection,
  ConnectionEnd,
  ConnectionMiddleware,
} from '../../lib/server/connections.js';
import type { EndpointSettings, ServerOptions } from '../../lib/server/options.js';
import { captureErrors } from '../support/quiet-console.js';
import { deferred, until, within } from '../support/until.js';
import type { WireServer } from '../support/wire-server.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

function start(
  t: ExecutionContext,
  settings: EndpointSettings,
  options: ServerOptions = {},
): Promise<WireServer> {
  return startServer(t, ({ connection, response }) => response.text(connection.id), {
    endpoints: [{ host: '127.0.0.1', port: 0, ...settings }],
    ...options,
  });
}

/** Notes what it is told. */
class Observer implements ConnectionMiddleware {
  readonly openedOnes: Connection[] = [];
  readonly ends: ConnectionEnd[] = [];
  readonly log: string[] = [];
  opened(connection: Connection): void {
    this.openedOnes.push(connection);
    this.log.push('opened');
  }
  closed(_: Connection, end: ConnectionEnd): void {
    this.ends.push(end);
    this.log.push(`closed ${end.reason}`);
  }
}

test('observers are told of every connection, and what it was', async (t) => {
  const observer = new Observer();
  const { connect, port } = await start(t, { use: [observer] });
  const client = await connect();
  const first = await client.request(GET);
  const second = await client.request(GET);
  t.is(observer.openedOnes.length, 1);
  const [connection] = observer.openedOnes;
  t.is(connection.id, first.text);
  t.deepEqual(
    [
      connection.remoteAddress,
      connection.remotePort,
      connection.localAddress,
      connection.localPort,
    ],
    ['127.0.0.1', client.socket.localPort, '127.0.0.1', port],
  );
  t.is(connection.socket.remotePort, connection.remotePort);
  t.deepEqual(observer.ends, []);
  client.destroy();
  await until(() => observer.ends.length === 1, 'the end is told');
  const [end] = observer.ends;
  t.is(end.reason, 'client_closed');
  t.is(end.requests, 2);
  t.is(end.bytesReceived, 2 * GET.length);
  t.is(
    end.bytesSent,
    first.head.length + first.body.length + second.head.length + second.body.length,
  );
  t.true(end.duration >= 0);
});

test('why a connection ended', async (t) => {
  const observer = new Observer();
  const { connect, server } = await startServer(
    t,
    async (context) => {
      if (context.request.path === '/abort') {
        await context.response.write('a');
        context.abort();
      } else await context.response.text('a');
    },
    {
      endpoints: [{ host: '127.0.0.1', port: 0, use: [observer] }],
      limits: { requestHeadersTimeout: 1000 },
    },
  );
  const ended = async (count: number): Promise<string | undefined> => {
    await until(() => observer.ends.length === count, `${String(count)} ends were told`);
    return observer.ends.at(-1)?.reason;
  };
  const slow = await connect();
  await slow.write('GET /');
  t.is((await slow.answer()).status, 408);
  slow.halfClose();
  t.is(await ended(1), 'request_headers_timeout');
  const refused = await connect();
  t.is((await refused.request('no request\r\n\r\n')).status, 400);
  refused.halfClose();
  t.is(await ended(2), 'server_closed');
  const reset = await connect();
  t.is((await reset.request(GET)).status, 200);
  await reset.reset();
  t.is(await ended(3), 'connection_reset');
  await (await connect()).write('GET /abort HTTP/1.1\r\nHost: h\r\n\r\n');
  t.is(await ended(4), 'aborted_by_app');
  const closes = await connect();
  t.is((await closes.request('GET / HTTP/1.0\r\n\r\n')).status, 200);
  closes.halfClose();
  t.is(await ended(5), 'server_closed');
  await connect();
  await until(() => observer.openedOnes.length === 6, 'the last one is there');
  await server.stop();
  t.is(observer.ends.at(-1)?.reason, 'server_stopped');
  t.is(observer.ends.length, 6);
});

test('an idle connection ends by its timeout', async (t) => {
  const observer = new Observer();
  const { connect } = await start(t, { use: [observer] }, { limits: { keepAliveTimeout: 100 } });
  await (
    await connect()
  ).closed;
  await until(() => observer.ends.length === 1, 'the end is told');
  t.is(observer.ends[0].reason, 'keep_alive_timeout');
});

test('a stop that aborts tells the ends before it settles', async (t) => {
  const observer = new Observer();
  const { server, connect } = await startServer(t, () => new Promise<void>(() => undefined), {
    endpoints: [{ host: '127.0.0.1', port: 0, use: [observer] }],
  });
  const client = await connect();
  await client.write(GET);
  await until(() => server.metrics().activeRequests === 1, 'the request runs');
  await server.stop(AbortSignal.abort());
  t.deepEqual(observer.log, ['opened', 'closed server_stopped']);
});

test('a filter decides before any byte is read; the connection waits for it', async (t) => {
  const asked: Connection[] = [];
  const verdict = deferred<boolean>();
  const observer = new Observer();
  const filter = (connection: Connection): Promise<boolean> => {
    asked.push(connection);
    return verdict.promise;
  };
  const { connect, metrics } = await start(t, { use: [{ filter }, observer] });
  const client = await connect();
  await client.write(GET + GET);
  await until(() => asked.length === 1, 'the filter is asked');
  t.is(metrics().bytesReceived, 0);
  t.deepEqual(observer.log, []);
  verdict.resolve(true);
  t.is((await client.answer()).text, asked[0].id);
  t.is((await client.answer()).status, 200);
  t.deepEqual(observer.log, ['opened']);
});

test('what a filter does not let in is closed, and not told to observers', async (t) => {
  const answers: unknown[] = [false, Promise.resolve(false), undefined, 'yes', 1];
  const observer = new Observer();
  const filter = (): boolean => answers.shift() as boolean;
  const { connect, metrics } = await start(t, { use: [observer, { filter }] });
  for (let i = 0; i < 5; i++) {
    const client = await connect();
    await client.write(GET);
    await client.closed;
    t.is(client.received, 0);
  }
  t.deepEqual(observer.log, []);
  t.is(metrics().refusedConnections, 5);
  await until(() => metrics().connections === 0, 'all are gone');
});

test.serial(
  'a filter that throws or rejects closes the connection; other hooks harm nothing',
  async (t) => {
    const reports = captureErrors();
    const failing = { filter: () => Promise.reject(new Error('rejects')) };
    const first = await start(t, { use: [failing] });
    const refused = await first.connect();
    await refused.closed;
    t.is(refused.received, 0);

    const throws = (): never => {
      throw new Error('throws');
    };
    const observer = new Observer();
    const use = [{ opened: throws, closed: throws, received: throws, sent: throws }, observer];
    const second = await start(t, { use });
    const client = await second.connect();
    t.is((await client.request(GET)).status, 200);
    client.destroy();
    await until(() => observer.ends.length === 1, 'the end is told');
    t.true(reports.length >= 5, String(reports.length));
  },
);

test('filters are asked in order, until one says no', async (t) => {
  const order: string[] = [];
  const named = (name: string, answer: boolean): ConnectionMiddleware => ({
    filter: () => {
      order.push(name);
      return answer;
    },
  });
  const { connect } = await start(t, {
    use: [named('a', true), named('b', false), named('c', true)],
  });
  await (
    await connect()
  ).closed;
  t.deepEqual(order, ['a', 'b']);
});

test('a connection that goes while a filter thinks is forgotten', async (t) => {
  const verdict = deferred<boolean>();
  const observer = new Observer();
  let asked = 0;
  const filter = (): Promise<boolean> => {
    asked++;
    return verdict.promise;
  };
  const { connect, metrics } = await start(t, { use: [{ filter }, observer] });
  const clients = [await connect(), await connect()];
  await until(() => asked === 2, 'both are asked about');
  await clients[0].reset();
  await until(() => metrics().connections === 1, 'one is gone');
  verdict.resolve(true);
  t.is((await clients[1].request(GET)).status, 200);
  t.deepEqual(observer.log, ['opened']);
});

test('a filter that never answers gives in to keepAliveTimeout, or to a stop', async (t) => {
  const filter = (): Promise<boolean> => new Promise(() => undefined);
  const first = await start(t, { use: [{ filter }] }, { limits: { keepAliveTimeout: 100 } });
  await (
    await first.connect()
  ).closed;
  const second = await start(t, { use: [{ filter }] });
  const client = await second.connect();
  await until(() => second.metrics().connections === 1, 'it is there');
  await within(second.server.stop(), 'the stop');
  await client.closed;
  t.is(client.received, 0);
});

test('allow and deny are lists in the core', async (t) => {
  const denied = await start(t, { deny: ['127.0.0.0/8'] });
  const client = await denied.connect();
  await client.closed;
  t.is(client.received, 0);
  t.is(denied.metrics().refusedConnections, 1);
  const allowed = await start(t, { allow: ['127.0.0.1', '::1'] });
  t.is((await allowed.once(GET)).status, 200);
  const other = await start(t, { allow: ['10.0.0.0/8'] });
  await (
    await other.connect()
  ).closed;
  const nobody = await start(t, { allow: [] });
  await (
    await nobody.connect()
  ).closed;
  t.pass();
});

test('endpointDefaults hold for endpoints that do not say otherwise', async (t) => {
  const observer = new Observer();
  const settings = { endpointDefaults: { deny: ['127.0.0.1'], use: [observer] } };
  const denied = await start(t, {}, settings);
  await (
    await denied.connect()
  ).closed;
  const open = await start(t, { deny: [] }, settings);
  t.is((await open.once(GET)).status, 200);
  t.deepEqual(observer.log, ['opened']);
});

test('connection logging shows every byte in both directions', async (t) => {
  const lines: string[] = [];
  const logger = {
    debug: (line: string) => {
      lines.push(line);
    },
  };
  const { connect } = await start(t, { use: [connectionLogging(logger, 'wire')] });
  const client = await connect();
  const bytes = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n\0\xff~\x7f';
  const answer = await client.request(bytes);
  client.destroy();
  await until(() => lines.some((line) => line.includes('closed')), 'the end is logged');
  const [opened, received, sent, closed] = lines;
  t.regex(opened, /^wire [0-9A-Z]+ opened from 127\.0\.0\.1 port [0-9]+$/);
  t.true(
    received.includes(`received ${String(bytes.length)} bytes\n50 4F 53 54 20 2F 20 48`),
    received,
  );
  t.true(received.endsWith(`FF 7E 7F${' '.repeat(40)} .~.`), received);
  const length = answer.head.length + answer.body.length;
  t.true(sent.includes(`sent ${String(length)} bytes\n48 54 54 50 2F 31 2E 31`), sent);
  t.true(sent.includes('HTTP/1.1 200 OK'), sent);
  t.regex(closed, /closed: client_closed, 1 requests, [0-9]+ ms$/);
});

test('a large answer is logged whole, and in order', async (t) => {
  const body = Buffer.alloc(3_000_000, 'abcdefghij');
  let sent = 0;
  let received = 0;
  const pieces: Uint8Array[] = [];
  const use: ConnectionMiddleware[] = [
    {
      received: (_, bytes) => {
        received += bytes.length;
        bytes.fill(0); // it is the middleware's own
      },
      sent: (_, bytes) => {
        sent += bytes.length;
        pieces.push(bytes);
      },
    },
  ];
  const server = await startServer(t, ({ response }) => response.bytes(body), {
    endpoints: [{ host: '127.0.0.1', port: 0, use }],
  });
  const answer = await server.once(GET);
  t.true(answer.body.equals(body));
  const whole = answer.head.length + body.length;
  await until(() => sent === whole, 'all of it was told');
  t.is(received, GET.length);
  t.true(Buffer.concat(pieces).subarray(answer.head.length).equals(body));
});

test('thousands of connections leave nothing behind', async (t) => {
  const observer = new Observer();
  const filter = (): boolean => true;
  const { once, metrics } = await start(t, { use: [{ filter }, observer] });
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const answer = await once('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
        t.is(answer.status, 200);
      }),
    );
  }
  await until(() => observer.ends.length === 1000, 'all ends are told');
  t.is(new Set(observer.openedOnes.map(({ id }) => id)).size, 1000);
  await until(() => metrics().connections === 0, 'all are gone');
});
