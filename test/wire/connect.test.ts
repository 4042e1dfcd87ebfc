import { createServer, connect as connectSocket } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import { codeOfError } from '../support/errors.js';
import { until } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const CONNECT = 'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n';

test('CONNECT that nobody takes is answered 405, whatever the handler says', async (t) => {
  const big = 'x'.repeat(200_000);
  const handlers: Record<string, (context: HttpContext) => void | Promise<void>> = {
    nothing: () => undefined,
    text: ({ response }) => response.text('Hello'),
    bytes: ({ response }) => response.bytes(Buffer.from(big)),
    stream: async ({ response }) => {
      for (let i = 0; i < 10; i++) await response.write(big);
    },
    late: async ({ response }) => {
      await Promise.resolve();
      response.statusCode = 204;
    },
  };
  for (const [name, handler] of Object.entries(handlers)) {
    const server = await startServer(t, handler);
    const client = await server.connect();
    void client.write(`${CONNECT}GET /tunnelled HTTP/1.1\r\nHost: h\r\n\r\n`);
    const answer = await client.answer();
    t.is(answer.status, 405, name);
    t.deepEqual(answer.headers.get('allow'), [''], name);
    t.deepEqual(answer.headers.get('connection'), ['close'], name);
    t.is(answer.text, '', name);
    t.is((await client.rest()).length, 0, name);
    t.is(server.metrics().requests, 1, name);
    t.is(server.metrics().refused, 1, name);
    t.deepEqual(server.reported, [], name);
  }
});

test('CONNECT is refused by the status that the handler chooses, and the connection ends', async (t) => {
  const server = await startServer(t, async ({ response, isUpgradableRequest }) => {
    t.true(isUpgradableRequest);
    response.statusCode = 407;
    response.headers.set('Proxy-Authenticate', 'Basic');
    await response.text('who are you?');
  });
  const client = await server.connect();
  const answer = await client.request(`${CONNECT}GET / HTTP/1.1\r\nHost: h\r\n\r\n`);
  t.is(answer.status, 407);
  t.is(answer.text, 'who are you?');
  t.deepEqual(answer.headers.get('connection'), ['close']);
  t.is((await client.rest()).length, 0);
  t.is(server.metrics().requests, 1);
});

test('CONNECT with a body is refused', async (t) => {
  const server = await startServer(t, () => t.fail());
  for (const line of ['Content-Length: 3', 'Transfer-Encoding: chunked']) {
    const answer = await server.once(CONNECT.replace('\r\n\r\n', `\r\n${line}\r\n\r\nabc`));
    t.is(answer.status, 400, line);
  }
});

test('CONNECT makes a tunnel: a proxy in a few lines', async (t) => {
  const origin = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('data', (data) => socket.write(`[${String(data)}]`));
    socket.on('end', () => socket.end('bye'));
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  t.teardown(() => origin.close());
  const { port } = origin.address() as AddressInfo;
  const server = await startServer(t, async (context) => {
    const { hostname, port } = new URL(`http://${context.request.rawTarget}`);
    const upstream = connectSocket({ host: hostname, port: Number(port), allowHalfOpen: true });
    await once(upstream, 'connect');
    context.response.headers.set('X-Proxy', 'yes');
    const socket = await context.upgrade();
    await Promise.allSettled([pipeline(socket, upstream), pipeline(upstream, socket)]);
  });
  const target = `127.0.0.1:${String(port)}`;
  for (const version of ['1.1', '1.0']) {
    const client = await server.connect();
    void client.write(`CONNECT ${target} HTTP/${version}\r\nHost: ${target}\r\n\r\nearly`);
    const { head } = await client.answer('HEAD');
    t.regex(
      head,
      /^HTTP\/1\.1 200 OK\r\nX-Proxy: yes\r\nDate: [^\r]*\r\nServer: windhover\r\n\r\n$/,
    );
    t.is((await client.bytes(7)).toString(), '[early]');
    void client.write('more');
    t.is((await client.bytes(6)).toString(), '[more]');
    client.halfClose();
    t.is((await client.rest()).toString(), 'bye');
  }
  await until(() => server.metrics().connections === 0, 'all connections are gone');
});

test('only 2xx says yes to CONNECT', async (t) => {
  const server = await startServer(t, async (context) => {
    context.response.statusCode = 404;
    t.is(codeOfError(await t.throwsAsync(context.upgrade())), 'WH_ERR_INVALID_STATUS');
  });
  t.is((await server.once(CONNECT)).status, 404);
});
