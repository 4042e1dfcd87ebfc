/** What is NodeHttpServer's own; what every server does is in test/cross-server. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { limitTable } from '../../lib/server/limit-table.js';
import { NODE_HTTP2_LIMITS, NODE_LIMITS } from '../../lib/server/node-http/limits.js';
import { NodeHttpServer } from '../../lib/server/node-http-server.js';
import type { ServerOptions } from '../../lib/server/options.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import { createApplication } from '../../lib/server/server.js';
import { serverCertificate } from '../support/certificates.js';
import { coded } from '../support/errors.js';
import { get as getBy } from '../support/https-server.js';
import { RawClient } from '../support/raw-client.js';
import { until } from '../support/until.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 } as const;
const GET = 'GET /hello HTTP/1.1\r\nHost: h\r\n\r\n';

async function start(
  t: ExecutionContext,
  options: ServerOptions = {},
  handler: (context: HttpContext) => void | Promise<void> = ({ response }) =>
    response.text('hello'),
): Promise<{ server: NodeHttpServer; port: number; connect: () => Promise<RawClient> }> {
  const server = new NodeHttpServer({ endpoints: [LOOPBACK], ...options });
  await server.start(createApplication(handler, { onError: () => undefined }));
  t.teardown(() => server.stop(AbortSignal.abort()));
  const port = Number(new URL(server.addresses[0]).port);
  const connect = async (): Promise<RawClient> => {
    const client = await RawClient.connect(port);
    t.teardown(() => {
      client.destroy();
    });
    return client;
  };
  return { server, port, connect };
}

test('limits have the ranges and defaults of the core', (t) => {
  const table = new Map(limitTable().map((row) => [row.name, row]));
  const all = [
    ...Object.entries(NODE_LIMITS),
    ...Object.entries(NODE_HTTP2_LIMITS).map(([name, row]) => [`http2.${name}`, row] as const),
  ];
  for (const [name, { initial, least, greatest, canBeUnlimited }] of all) {
    const row = table.get(name);
    t.deepEqual([initial, least, canBeUnlimited], [row?.initial, row?.least, row?.canBeUnlimited]);
    if (greatest !== Infinity) t.is(row?.greatest, greatest, name);
  }
});

test('options that are wrong are refused as WindhoverServer refuses them', (t) => {
  const wrong: [unknown, new (...args: never[]) => Error][] = [
    [{ limits: { maxRequestBodySize: -1 } }, RangeError],
    [{ limits: { maxRequestBodySize: '1' } }, TypeError],
    [{ limits: { keepAliveTimeout: 0 } }, RangeError],
    [{ limits: { requestHeadersTimeout: 1.5 } }, RangeError],
    [{ limits: { http2: { maxFrameSize: 1 } } }, RangeError],
    [{ limits: { nothing: 1 } }, TypeError],
    [{ nothing: 1 }, TypeError],
    [{ endpoints: [{ url: 1 }] }, TypeError],
    [{ refusals: 'loud' }, TypeError],
    [{ shutdown: { timeout: -1 } }, RangeError],
  ];
  for (const [options, kind] of wrong) {
    t.throws(() => new NodeHttpServer(options as never), coded('WH_ERR_INVALID_OPTION', kind));
  }
  t.throws(() => new NodeHttpServer(null as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
});

test('what it would not be safe to leave out is refused', (t) => {
  const proxyProtocol = { trusted: ['10.0.0.0/8'] };
  for (const options of [
    { endpoints: [{ ...LOOPBACK, proxyProtocol }] },
    { endpointDefaults: { proxyProtocol } },
  ]) {
    t.throws(() => new NodeHttpServer(options), { code: 'WH_ERR_NOT_SUPPORTED' });
  }
});

test.serial('options that it cannot keep are named in one warning', async (t) => {
  const warnings: (Error & { code?: string })[] = [];
  const listen = (warning: Error): void => {
    warnings.push(warning);
  };
  process.on('warning', listen);
  t.teardown(() => process.off('warning', listen));
  await start(t, {
    busyPoll: 5,
    http1: { allowBareLineFeed: true, allowRawQueryCharacters: true },
    limits: { maxPipelinedRequests: 3, maxRequestBodySize: 3, http2: { maxPings: 3 } },
    endpoints: [{ ...LOOPBACK, use: [{ received: () => undefined, opened: () => undefined }] }],
  });
  await until(() => warnings.length > 0, 'the warning');
  const own = warnings.filter(({ code }) => code === 'WH_WARN_OPTIONS_NOT_KEPT');
  t.is(own.length, 1);
  t.is(
    own[0].message,
    'NodeHttpServer cannot keep these options: busyPoll (the event loop is libuv’s), ' +
      'http1.allowBareLineFeed, limits.maxPipelinedRequests, limits.http2.maxPings, ' +
      'endpoints[0].use[0].received',
  );
  await start(t);
  await new Promise(setImmediate);
  t.is(warnings.filter(({ code }) => code === 'WH_WARN_OPTIONS_NOT_KEPT').length, 1);
});

test('clients are let in by their addresses', async (t) => {
  for (const [lists, isIn] of [
    [{ allow: ['127.0.0.0/8'] }, true],
    [{ allow: ['10.0.0.0/8', '::1', 'unix'] }, false],
    [{ deny: ['127.0.0.1'] }, false],
    [{ allow: ['127.0.0.1'], deny: ['127.0.0.0/8'] }, false],
    [{ deny: ['::/0'] }, true],
  ] as const) {
    const { server, connect } = await start(t, { endpoints: [{ ...LOOPBACK, ...lists }] });
    const answer = connect().then((client) => client.request(GET));
    if (isIn) t.is((await answer).text, 'hello');
    else await t.throwsAsync(answer, undefined, JSON.stringify(lists));
    t.is(server.metrics().refusedConnections, isIn ? 0 : 1);
  }
  const wrong = new NodeHttpServer({ endpoints: [{ ...LOOPBACK, allow: ['10.0.0.0/99'] }] });
  await t.throwsAsync(wrong.start(createApplication(() => undefined)), {
    code: 'WH_ERR_INVALID_OPTION',
  });
});

test('connection middleware lets in, and hears of begin and end', async (t) => {
  const told: string[] = [];
  let admits: unknown = true;
  const { server, connect } = await start(t, {
    endpoints: [
      {
        ...LOOPBACK,
        use: [
          {
            filter: async () => {
              await new Promise(setImmediate);
              return admits as boolean;
            },
            opened: ({ remoteAddress }) => told.push(`opened ${String(remoteAddress)}`),
            closed: (_connection, { reason, requests }) =>
              told.push(`closed ${reason} ${String(requests)}`),
          },
        ],
      },
    ],
  });
  const client = await connect();
  t.is((await client.request(GET)).text, 'hello');
  t.is((await client.request(GET)).text, 'hello');
  client.halfClose();
  await until(() => told.length === 2, 'the connection has ended');
  t.deepEqual(told, ['opened 127.0.0.1', 'closed client_closed 2']);
  admits = 1; // anything but true
  await t.throwsAsync((await connect()).request(GET));
  t.is(server.metrics().refusedConnections, 1);
  t.is(told.length, 2);
});

test('refusals say what the option says', async (t) => {
  const { server, connect } = await start(t, { refusals: 'problem' });
  const answer = await (await connect()).request('GET / HTTP/1.1\r\n\r\n');
  t.is(answer.status, 400);
  t.deepEqual(answer.headers.get('content-type'), ['application/problem+json']);
  t.like(JSON.parse(answer.text), { status: 400, reason: 'invalidHost' });
  const broken = await (await connect()).request('GET / HTTP/1.1\r\nHost: h\r\nX y: z\r\n\r\n');
  t.like(JSON.parse(broken.text), { status: 400, reason: 'invalidRequestHeader' });
  t.is(server.metrics().refused, 2);
  t.deepEqual(server.metrics().refusals, { invalidHost: 1, invalidRequestHeader: 1 });
});

test('a server starts once, and where it cannot it can be tried again', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const application = createApplication(({ response }) => response.text('hello'));
  const server = new NodeHttpServer({ endpoints: [LOOPBACK, { host: 'localhost', port }] });
  t.teardown(() => server.stop());
  const error = await t.throwsAsync(server.start(application), { code: 'WH_ERR_ADDRESS_IN_USE' });
  t.regex(error.message, /^endpoints\[1\]: /);
  t.deepEqual(server.addresses, []);
  t.false(server.isReady);
  other.close();
  await once(other, 'close');
  await server.start(application);
  t.true(server.isReady);
  t.is(server.addresses.length, 2);
  t.is(await (await fetch(server.addresses[1])).text(), 'hello');
  await t.throwsAsync(server.start(application), { code: 'WH_ERR_SERVER_STARTED' });
  await server.stop();
  t.false(server.isReady);
  t.true(server.stopping.aborted);
  await t.throwsAsync(server.start(application), { code: 'WH_ERR_SERVER_STARTED' });
  await server.stop();
});

test('what is no place to listen on is refused', async (t) => {
  const application = createApplication(() => undefined);
  for (const endpoint of [
    { url: 'ftp://127.0.0.1:0' },
    { url: 'http://127.0.0.1:0/path' },
    { url: 'http://127.0.0.1:99999' },
    { url: 'http://127.0.0.256:0' },
    { url: 'http://:0' },
    { url: 'http://unix:relative' },
    { path: 'relative' },
  ]) {
    const server = new NodeHttpServer({ endpoints: [endpoint] });
    await t.throwsAsync(
      server.start(application),
      { code: 'WH_ERR_ADDRESS_INVALID' },
      JSON.stringify(endpoint),
    );
  }
});

test('certificates are read again, and bad ones leave the old', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'windhover-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const write = (): void => {
    const { cert, key } = serverCertificate();
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
  };
  write();
  const https = { certFile, keyFile };
  const { server, port } = await start(t, { endpoints: [{ ...LOOPBACK, https }] });
  const serial = async (servername?: string): Promise<string> =>
    (await getBy({ port, ...(servername === undefined ? {} : { servername }) })).serial;
  const before = await serial();
  t.is(await serial('localhost'), before);
  write();
  await server.reloadCertificates();
  const after = await serial();
  t.not(after, before);
  t.is(await serial('localhost'), after);
  writeFileSync(certFile, 'nothing');
  await t.throwsAsync(server.reloadCertificates(), { code: 'WH_ERR_INVALID_OPTION' });
  t.is(await serial(), after);
});

test('servers that share ticket keys take up each other’s sessions', async (t) => {
  const { cert, key } = serverCertificate();
  const ticketKeys = randomBytes(80);
  const https = { cert, key, maxVersion: 'TLSv1.2' } as const;
  const first = await start(t, { endpoints: [{ ...LOOPBACK, https: { ...https, ticketKeys } }] });
  const second = await start(t, { endpoints: [{ ...LOOPBACK, https }] });
  const handshake = async (port: number, session?: Buffer): Promise<TLSSocket> => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, session });
    t.teardown(() => socket.destroy());
    await once(socket, 'secureConnect');
    return socket;
  };
  const session = (await handshake(first.port)).getSession();
  t.true((await handshake(first.port, session)).isSessionReused());
  t.false((await handshake(second.port, session)).isSessionReused());
  second.server.setTicketKeys(ticketKeys);
  t.true((await handshake(second.port, session)).isSessionReused());
  t.throws(
    () => {
      second.server.setTicketKeys(randomBytes(79));
    },
    { code: 'WH_ERR_INVALID_OPTION' },
  );
});

test('certificates of other forms: DER, encrypted keys', async (t) => {
  const { cert, privateKey } = serverCertificate();
  const der = Buffer.from(cert.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const key = privateKey.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'open',
  });
  const { port } = await start(t, {
    endpoints: [{ ...LOOPBACK, https: { cert: der, key: key.toString(), passphrase: 'open' } }],
  });
  t.is((await getBy({ port })).body, 'hello');
  const keyDer = privateKey.export({ type: 'sec1', format: 'der' });
  const second = await start(t, { endpoints: [{ ...LOOPBACK, https: { cert, key: keyDer } }] });
  t.is((await getBy({ port: second.port })).body, 'hello');
  const wrong = new NodeHttpServer({
    endpoints: [{ ...LOOPBACK, https: { cert, key: key.toString(), passphrase: 'shut' } }],
  });
  await t.throwsAsync(wrong.start(createApplication(() => undefined)), {
    code: 'WH_ERR_INVALID_OPTION',
  });
});

test.serial('a connection that is kept gathers nothing', async (t) => {
  const warnings: Error[] = [];
  const listen = (warning: Error): void => {
    if (warning.name === 'MaxListenersExceededWarning') warnings.push(warning);
  };
  process.on('warning', listen);
  t.teardown(() => process.off('warning', listen));
  const { server, connect } = await start(t, {}, async ({ request, response }) => {
    if (request.path !== '/unread') await request.body.bytes();
    await response.text('done');
  });
  const client = await connect();
  for (let i = 0; i < 50; i++) {
    const path = i % 2 === 0 ? '/read' : '/unread';
    const body = 'x'.repeat(i * 2000);
    const head = `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${String(body.length)}\r\n\r\n`;
    t.is((await client.request(head + body)).text, 'done');
  }
  await new Promise(setImmediate);
  t.deepEqual(warnings, []);
  t.like(server.metrics(), { requests: 50, answers: 50, activeRequests: 0, connections: 1 });
});
