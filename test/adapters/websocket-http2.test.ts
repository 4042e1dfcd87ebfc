/** WebSockets and other tunnels over HTTP/2: extended CONNECT (RFC 8441), and plain CONNECT. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { constants } from 'node:http2';
import { connect as connectSocket, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { RawData, ServerOptions as WebSocketOptions } from 'ws';
import { WebSocket, WebSocketServer } from 'ws';
import { toNodeUpgrade } from '../../lib/adapters/node-upgrade.js';
import { acceptWebSocket } from '../../lib/adapters/websocket.js';
import { HttpExtendedConnectFeature } from '../../lib/features/http2-features.js';
import { WebApplication } from '../../lib/hosting/web-application.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { ServerOptions } from '../../lib/server/options.js';
import { codeOfError } from '../support/errors.js';
import { answerOf, ask, closed } from '../support/http2-client.js';
import type { SecureServer } from '../support/secure-server.js';
import { startSecure } from '../support/secure-server.js';
import { until, within } from '../support/until.js';

/** An extended CONNECT for a WebSocket. */
const WANTED = {
  ':method': 'CONNECT',
  ':protocol': 'websocket',
  ':path': '/chat?a=b',
  'sec-websocket-version': '13',
};

interface Tunnel {
  readonly stream: ClientHttp2Stream;
  readonly head: IncomingHttpHeaders;
}

/** Opens a tunnel. Rejects where it is refused. */
async function openTunnel(
  session: ClientHttp2Session,
  headers: Record<string, string> = WANTED,
): Promise<Tunnel> {
  const stream = session.request(headers, { endStream: false });
  stream.on('error', () => undefined);
  const [head] = (await within(once(stream, 'response'), 'the answer')) as [IncomingHttpHeaders];
  return { stream, head };
}

/** A client of ws on a tunnel: it does the frames, and masks them. */
function clientOn({ stream, head }: Tunnel): WebSocket {
  const client = new Inner(null, undefined, { autoPong: true, closeTimeout: 30_000 });
  client._isServer = false;
  client._protocol = head['sec-websocket-protocol'] ?? '';
  Object.assign(stream, { setNoDelay: () => undefined });
  client.setSocket(stream, Buffer.alloc(0), { maxPayload: 0, allowSynchronousEvents: true });
  return client;
}

/** What ws's own server makes. */
const Inner = WebSocket as unknown as new (
  address: null,
  protocols: undefined,
  options: object,
) => InnerWebSocket;

interface InnerWebSocket extends WebSocket {
  _isServer: boolean;
  _protocol: string;
  setSocket(stream: ClientHttp2Stream, head: Buffer, options: object): void;
}

async function startEcho(
  t: ExecutionContext,
  options: WebSocketOptions = {},
  serverOptions: ServerOptions = {},
): Promise<SecureServer & { closings: number[]; asked: string[] }> {
  const wss = new WebSocketServer({ noServer: true, ...options });
  const closings: number[] = [];
  const asked: string[] = [];
  const server = await startSecure(
    t,
    async (context) => {
      const { method, rawTarget, scheme } = context.request;
      asked.push(`${method} ${rawTarget} ${scheme}`);
      const socket = await acceptWebSocket(context, wss);
      socket.on('error', () => undefined);
      socket.on('close', (code) => closings.push(code));
      socket.on('message', (data, isBinary) => {
        socket.send(data, { binary: isBinary });
      });
    },
    serverOptions,
  );
  return { ...server, closings, asked };
}

async function exchange(
  client: WebSocket,
  data: string | Uint8Array,
): Promise<{ data: Buffer; isBinary: boolean }> {
  const message = once(client, 'message');
  client.send(data);
  const [received, isBinary] = (await within(message, 'a message')) as [RawData, boolean];
  return { data: received as Buffer, isBinary };
}

for (const clear of [true, false]) {
  test(`WebSockets over ${clear ? 'h2c' : 'h2'}, by the same code as over HTTP/1.1`, async (t) => {
    const server = await startEcho(t, { maxPayload: 0, handleProtocols: () => 'b' });
    const session = await server.session({ clear });
    t.true(session.remoteSettings.enableConnectProtocol);
    const tunnel = await openTunnel(session, { ...WANTED, 'sec-websocket-protocol': 'a, b' });
    t.is(Number(tunnel.head[':status']), 200);
    for (const name of ['upgrade', 'connection', 'sec-websocket-accept', 'content-length']) {
      t.is(tunnel.head[name], undefined, name);
    }
    t.is(tunnel.head['sec-websocket-protocol'], 'b');
    const client = clientOn(tunnel);
    for (const text of ['', 'grüße', 'x'.repeat(65_536)]) {
      t.is((await exchange(client, text)).data.toString(), text);
    }
    // More than the windows.
    for (const length of [1, 126, 2_000_001]) {
      const sent = randomBytes(length);
      const { data, isBinary } = await exchange(client, sent);
      t.true(isBinary && data.equals(sent), String(length));
    }
    // Others go on beside it, on the same connection.
    const second = clientOn(await openTunnel(session));
    t.is((await exchange(second, 'second')).data.toString(), 'second');
    t.is((await exchange(client, 'first')).data.toString(), 'first');
    t.is(server.metrics().upgradedConnections, 2);
    const goodbye = once(client, 'close');
    client.close(3001, 'done');
    t.is((await within(goodbye, 'the close'))[0], 3001);
    second.terminate();
    await until(() => server.metrics().upgradedConnections === 0, 'both are over');
    t.deepEqual(server.closings.sort(), [1006, 3001]);
    t.is(server.asked[0], `CONNECT /chat?a=b ${clear ? 'http' : 'https'}`);
    t.is((await ask(session, { ':path': '/' })).status, 400);
    t.is(server.metrics().totalConnections, 1);

    const old = new WebSocket(`${server.clearUrl.replace('http', 'ws')}/chat`, 'b');
    await within(once(old, 'open'), 'an open WebSocket');
    t.is((await exchange(old, 'old')).data.toString(), 'old');
    old.terminate();
  });
}

test('compressed messages over HTTP/2', async (t) => {
  const server = await startEcho(t, { perMessageDeflate: { threshold: 0 } });
  const session = await server.session();
  const { head, stream } = await openTunnel(session, {
    ...WANTED,
    'sec-websocket-extensions': 'permessage-deflate; server_no_context_takeover',
  });
  t.is(head['sec-websocket-extensions'], 'permessage-deflate; server_no_context_takeover');
  // One masked text frame, compressed: RFC 7692 section 7.2.3.1, the mask being 0.
  stream.write(Buffer.from([0xc1, 0x87, 0, 0, 0, 0, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]));
  let answer = Buffer.alloc(0);
  stream.on('data', (piece: Buffer) => (answer = Buffer.concat([answer, piece])));
  await until(() => answer.length >= 9, 'the answer');
  t.deepEqual(answer, Buffer.from([0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]));
  stream.destroy();
});

test('a WebSocket that is refused, and what asks for none', async (t) => {
  const server = await startEcho(t, {
    verifyClient: ({ req }: { req: { url?: string } }, done) => {
      done(req.url !== '/no', 403, 'go away');
    },
  });
  const session = await server.session();
  const refused = async (
    fields: Record<string, string>,
  ): Promise<{ status: number; upgrade: string | undefined }> => {
    const stream = session.request({ ...WANTED, ...fields }, { endStream: false });
    const { status, headers } = await answerOf(stream);
    return { status, upgrade: headers.upgrade };
  };
  const none = undefined;
  t.deepEqual(await refused({ ':path': '/no' }), { status: 403, upgrade: none });
  t.deepEqual(await refused({ 'sec-websocket-version': '7' }), { status: 400, upgrade: none });
  t.deepEqual(await refused({ ':protocol': 'connect-udp' }), { status: 501, upgrade: none });
  // A stream that has ended already can carry nothing.
  const ended = await ask(session, WANTED, undefined, { endStream: true });
  t.is(ended.status, 400);
  t.is(server.metrics().upgradedConnections, 0);
  for (const protocol of ['a b', 'a/', '/a', 'a/b/c', 'x'.repeat(256)]) {
    const stream = session.request({ ...WANTED, ':protocol': protocol }, { endStream: false });
    await within(closed(stream), protocol);
    t.is(stream.rstCode, constants.NGHTTP2_PROTOCOL_ERROR, protocol);
  }
  t.deepEqual(server.reported, []);
});

test('over the limit a WebSocket is answered 503', async (t) => {
  const limits = { maxConcurrentUpgradedConnections: 1 };
  const server = await startEcho(t, {}, { limits });
  const session = await server.session();
  const { stream } = await openTunnel(session);
  t.is(Number((await openTunnel(session)).head[':status']), 503);
  t.deepEqual(server.reported.map(codeOfError), ['WH_ERR_TOO_MANY_UPGRADED']);
  stream.destroy();
  await until(() => server.metrics().upgradedConnections === 0, 'there is room');
  t.is(Number((await openTunnel(session)).head[':status']), 200);
});

test('a stop tells the clients, and waits for their goodbye', async (t) => {
  const server = await startEcho(t);
  const session = await server.session();
  const clients: WebSocket[] = [];
  for (let i = 0; i < 20; i++) clients.push(clientOn(await openTunnel(session)));
  const codes = Promise.all(
    clients.map(async (client) => (await once(client, 'close'))[0] as number),
  );
  await server.server.stop();
  t.deepEqual(new Set(await within(codes, 'the goodbyes')), new Set([1001]));
  t.is(server.server.metrics().upgradedConnections, 0);
});

test('routes of GET take extended CONNECT, and the feature gives the stream', async (t) => {
  const builder = WebApplication.createBuilder();
  builder.suppressStatusMessages = true;
  builder.server.listen({ host: '127.0.0.1', port: 0, protocols: 'http2' });
  const app = builder.build();
  const seen: unknown[] = [];
  app.get('/echo/:name', async (context) => {
    const feature = context.features.get(HttpExtendedConnectFeature);
    seen.push(context.request.routeValues['name'], feature?.protocol, context.isUpgradableRequest);
    if (feature?.isExtendedConnect !== true) return context.response.text('plain');
    context.response.headers.set('X-Own', 'yes');
    context.response.statusCode = 201;
    const socket = await feature.accept();
    t.is(codeOfError(await t.throwsAsync(feature.accept())), 'WH_ERR_ALREADY_UPGRADED');
    return pipeline(socket, socket);
  });
  app.get('/text', ({ response }) => response.text('no tunnel'));
  app.get('/written', async ({ response }) => {
    await response.write('no ');
    await response.write('tunnel');
  });
  app.route('CONNECT', '/own', async (context) => {
    const socket = await context.upgrade();
    socket.end('own');
  });
  await app.start();
  t.teardown(() => app.stop(AbortSignal.abort()));
  const { connect } = await import('node:http2');
  const session = connect(app.addresses[0]);
  t.teardown(() => session.destroy());
  await once(session, 'remoteSettings');
  const wanted = { ':method': 'CONNECT', ':protocol': 'x/1' };
  const { head, stream } = await openTunnel(session, { ...wanted, ':path': '/echo/one' });
  t.is(Number(head[':status']), 201);
  t.is(head['x-own'], 'yes');
  const echoed = answerOf(stream).catch(() => undefined);
  const pieces: Buffer[] = [];
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  stream.end('all of it');
  await within(closed(stream), 'the end');
  t.is(stream.rstCode, 0);
  t.is(Buffer.concat(pieces).toString(), 'all of it');
  await echoed;
  t.is((await ask(session, { ':path': '/echo/two' })).text, 'plain');
  t.deepEqual(seen, ['one', 'x/1', true, 'two', undefined, false]);
  const own = await openTunnel(session, { ...wanted, ':path': '/own' });
  t.is(((await once(own.stream, 'data')) as [Buffer])[0].toString(), 'own');
  own.stream.end();
  for (const path of ['/text', '/written']) {
    const answer = await answerOf(session.request({ ...wanted, ':path': path }));
    t.is(answer.status, 405, path);
    t.is(answer.text, '', path);
  }
  t.is((await answerOf(session.request({ ...wanted, ':path': '/nowhere' }))).status, 404);
});

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
    const server = await startSecure(t, handler);
    const session = await server.session();
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'example.org:443' });
    const answer = await answerOf(stream);
    t.is(answer.status, 405, name);
    t.is(answer.text, '', name);
    t.is(answer.headers.allow, '', name);
    await until(() => server.metrics().activeRequests === 0, 'it is over');
    t.is(server.metrics().refused, 1, name);
    t.deepEqual(server.reported, [], name);
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
  const server = await startSecure(t, async (context) => {
    const { hostname, port } = new URL(`http://${context.request.rawTarget}`);
    t.is(context.features.get(HttpExtendedConnectFeature)?.isExtendedConnect, false);
    const upstream = connectSocket({ host: hostname, port: Number(port), allowHalfOpen: true });
    await once(upstream, 'connect');
    context.response.headers.set('X-Proxy', 'yes');
    const socket = await context.upgrade();
    await Promise.allSettled([pipeline(socket, upstream), pipeline(upstream, socket)]);
  });
  const session = await server.session();
  const stream = session.request({
    ':method': 'CONNECT',
    ':authority': `127.0.0.1:${String(port)}`,
  });
  stream.write('early');
  const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  t.is(head['x-proxy'], 'yes');
  let text = '';
  stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  await until(() => text === '[early]', 'it came back');
  stream.end();
  await within(closed(stream), 'the end');
  t.is(text, '[early]bye');
  t.is(stream.rstCode, 0);
});

test('what is written before the end arrives, though the client is slow and the socket let go', async (t) => {
  const size = 5_000_000;
  const server = await startSecure(t, async (context) => {
    const socket = await context.upgrade();
    socket.write(Buffer.alloc(size, 'x'), () => socket.destroy());
  });
  const session = await server.session();
  const { stream } = await openTunnel(session, { ...WANTED, ':protocol': 'x' });
  let length = 0;
  stream.on('data', (piece: Buffer) => (length += piece.length));
  await within(closed(stream), 'the end');
  t.is(length, size);
  await until(() => server.metrics().upgradedConnections === 0, 'it is over');
});

test('a tunnel that the client resets is an error of the socket', async (t) => {
  const codes: string[] = [];
  const server = await startSecure(t, async (context) => {
    const socket = await context.upgrade();
    socket.on('error', (error) => codes.push(String(codeOfError(error))));
    socket.on('close', () => codes.push('closed'));
    socket.write('hello');
  });
  const session = await server.session();
  const { stream } = await openTunnel(session, { ...WANTED, ':protocol': 'x' });
  await once(stream, 'data');
  stream.close(constants.NGHTTP2_CANCEL);
  await until(() => codes.length === 2, 'the server has heard of it');
  t.deepEqual(codes, ['ECONNRESET', 'closed']);
});

test('what a listener of upgrade sees is HTTP/1.1', async (t) => {
  const server = await startSecure(t, (context) => {
    const { request, socket, settled } = toNodeUpgrade(context);
    const { method, url, headers, httpVersion } = request;
    t.is(`${String(method)} ${String(url)} ${httpVersion}`, 'GET /chat?a=b 1.1');
    t.is(headers.upgrade, 'websocket');
    t.is(headers.connection, 'Upgrade');
    t.regex(String(headers['sec-websocket-key']), /^[\w+/]{22}==$/);
    t.is(headers['sec-websocket-version'], '13');
    t.is(headers.host, new URL(server.url).host);
    t.true(request.rawHeaders.includes('Sec-WebSocket-Key'));
    socket.end('HTTP/1.1 101 Whatever\r\nUpgrade: websocket\r\nX-A: b\r\n\r\nfirst');
    return settled;
  });
  const session = await server.session();
  const { stream, head } = await openTunnel(session);
  t.is(head['x-a'], 'b');
  t.is(head.upgrade, undefined);
  t.is(((await once(stream, 'data')) as [Buffer])[0].toString(), 'first');
  stream.end();
  await within(closed(stream), 'the end');
});
