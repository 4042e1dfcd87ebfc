/** The PROXY protocol in front of HTTP: whose word counts, and what becomes of every byte. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { EndpointOptions, ProxyProtocolOptions } from '../../lib/server/options.js';
import { RawClient } from '../support/raw-client.js';
import type { WireServer } from '../support/wire-server.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const V1 = 'PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n';
const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n';
const V2 = `${SIGNATURE}\x21\x11\0\x0c\xcb\0\x71\x07\xc6\x33\x64\x01\x12\x67\x01\xbb`;
const LOCAL = `${SIGNATURE}\x20\0\0\0`;

interface Told {
  readonly ends: readonly [string | undefined, number, string | undefined, number];
  readonly socket: {
    readonly remoteAddress?: string;
    readonly remotePort: number;
    readonly localPort: number;
  };
}

const CLIENT = ['203.0.113.7', 4711, '198.51.100.1', 443];

function startProxied(
  t: ExecutionContext,
  proxyProtocol: ProxyProtocolOptions,
  more: Partial<EndpointOptions> = {},
  limits = {},
): Promise<WireServer> {
  return startServer(
    t,
    async ({ connection, request, response }) => {
      const { remoteAddress, remotePort, localAddress, localPort, socket } = connection;
      const body = await request.body.text();
      const ends = [remoteAddress ?? null, remotePort, localAddress ?? null, localPort];
      await response.json({ ends, socket, body });
    },
    { endpoints: [{ host: '127.0.0.1', port: 0, proxyProtocol, ...more }] as never, limits },
  );
}

const trusted = ['127.0.0.1'];

for (const [title, header] of [
  ['version 1', V1],
  ['version 2', V2],
] as const) {
  test(`${title}: the connection shows the client, and the socket as it is`, async (t) => {
    const { connect, port } = await startProxied(t, { trusted });
    const client = await connect();
    const told = JSON.parse((await client.request(header + GET)).text) as Told;
    t.deepEqual(told.ends, CLIENT as never);
    t.is(told.socket.remoteAddress, '127.0.0.1');
    t.is<number | undefined, number | undefined>(told.socket.remotePort, client.socket.localPort);
    t.is(told.socket.localPort, port);
    // It counts for the whole connection, and only once.
    t.deepEqual((JSON.parse((await client.request(GET)).text) as Told).ends, CLIENT as never);
    t.is((await client.request(V1 + GET)).status, 400);
  });

  test(`${title}: cut at every byte, no byte behind it is lost`, async (t) => {
    const { connect } = await startProxied(t, { trusted });
    const bytes = `${header}POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello${GET}`;
    const cuts = Array.from({ length: header.length + 12 }, (_, i) => i + 1);
    await Promise.all(
      cuts.map(async (cut) => {
        const client = await connect();
        await client.write(bytes.slice(0, cut));
        // Until it has been sent by itself; TCP_NODELAY is on.
        await new Promise((resolve) => setImmediate(resolve));
        await client.write(bytes.slice(cut));
        const first = JSON.parse((await client.answer()).text) as Told & { body: string };
        t.deepEqual(first.ends, CLIENT as never, `cut at ${String(cut)}`);
        t.is(first.body, 'hello');
        t.is((await client.answer()).status, 200);
      }),
    );
  });
}

test('LOCAL and UNKNOWN keep the addresses of the socket', async (t) => {
  const { connect } = await startProxied(t, { trusted });
  for (const header of [LOCAL, 'PROXY UNKNOWN\r\n', `${SIGNATURE}\x21\0\0\0`]) {
    const client = await connect();
    const told = JSON.parse((await client.request(header + GET)).text) as Told;
    t.deepEqual(told.ends.slice(0, 2) as readonly unknown[], [
      '127.0.0.1',
      client.socket.localPort,
    ]);
  }
});

test('IPv6, mapped IPv4 and Unix clients', async (t) => {
  const { connect } = await startProxied(t, { trusted });
  const ask = async (header: string): Promise<Told> =>
    JSON.parse((await (await connect()).request(header + GET)).text) as Told;
  t.is((await ask('PROXY TCP6 2001:db8::1 ::1 1 2\r\n')).ends[0], '2001:db8::1');
  t.is((await ask('PROXY TCP6 ::ffff:10.1.2.3 ::1 1 2\r\n')).ends[0], '10.1.2.3');
  const unix = await ask(`${SIGNATURE}\x21\x31\0\xd8${'\0'.repeat(216)}`);
  t.deepEqual(unix.ends as readonly unknown[], [null, 0, null, 0]);
});

test('a bad header, or none, closes the connection without an answer', async (t) => {
  const { connect, metrics } = await startProxied(t, { trusted });
  const bad = [
    GET,
    'PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n',
    `PROXY TCP4 ${'1'.repeat(110)}`,
    `${SIGNATURE}\x31\x11\0\x0c`,
    `${SIGNATURE}\x21\x11\xff\xff`,
    '\r\nGET',
    '\x16\x03\x01',
  ];
  for (const bytes of bad) {
    const client = await connect();
    await client.write(bytes);
    await client.closed;
    t.is(client.received, 0, JSON.stringify(bytes));
  }
  t.is(metrics().refusedConnections, bad.length);
  t.is(metrics().requests, 0);
});

test('an end in the middle of a header ends the connection', async (t) => {
  const { connect } = await startProxied(t, { trusted });
  for (const bytes of ['', 'PROX', V2.slice(0, 20)]) {
    const client = await connect();
    if (bytes !== '') await client.write(bytes);
    client.halfClose();
    await client.closed;
    t.is(client.received, 0);
  }
});

test('the header must be there within requestHeadersTimeout, counted from the accept', async (t) => {
  const limits = { requestHeadersTimeout: 100, keepAliveTimeout: 60_000 };
  const { connect } = await startProxied(t, { trusted }, {}, limits);
  const silent = await connect();
  const slow = await connect();
  await slow.write('PROXY TCP4 1.2.3.4 ');
  await Promise.all([silent.closed, slow.closed]);
  t.is(silent.received + slow.received, 0);
});

test('peers that are not trusted: closed where a header is required', async (t) => {
  for (const list of [[], ['10.0.0.0/8', '::1']]) {
    const { connect, metrics } = await startProxied(t, { trusted: list });
    const client = await connect();
    await client.closed;
    t.is(client.received, 0);
    t.is(metrics().refusedConnections, 1);
  }
});

test('peers that are not trusted: served as they are where none is, and not believed', async (t) => {
  const { connect } = await startProxied(t, { trusted: ['10.0.0.0/8'], required: false });
  const client = await connect();
  const told = JSON.parse((await client.request(GET)).text) as Told;
  t.is(told.ends[0], '127.0.0.1');
  t.is((await (await connect()).request(V1 + GET)).status, 400);
});

test('where it is not required a trusted peer may leave it out, however its bytes are cut', async (t) => {
  const { connect } = await startProxied(t, { trusted, required: false });
  const told = JSON.parse((await (await connect()).request(V1 + GET)).text) as Told;
  t.deepEqual(told.ends, CLIENT as never);
  const requests = [
    GET,
    'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi',
    `\r\n\r\n${GET}`,
  ];
  for (const bytes of ['PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n', ...requests]) {
    for (let cut = 0; cut < 14; cut++) {
      const client = await connect();
      if (cut > 0) {
        await client.write(bytes.slice(0, cut));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const answer = await client.request(bytes.slice(cut));
      t.is(answer.status, 200, `${JSON.stringify(bytes)} cut at ${String(cut)}`);
      t.is((JSON.parse(answer.text) as Told).ends[0], '127.0.0.1');
    }
  }
});

test("Unix sockets are trusted by the name 'unix'", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'windhover-proxy-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  const path = join(folder, 'a.sock');
  const other = join(folder, 'b.sock');
  await startServer(
    t,
    ({ connection, response }) => response.text(String(connection.remoteAddress)),
    {
      endpoints: [
        { path, proxyProtocol: { trusted: ['unix'] } },
        { path: other, proxyProtocol: { trusted: ['127.0.0.1'] } },
        { host: '127.0.0.1', port: 0 },
      ],
    },
  ).catch(() => undefined);
  const client = await RawClient.connect({ path });
  t.is((await client.request(V1 + GET)).text, '203.0.113.7');
  client.destroy();
  const stranger = await RawClient.connect({ path: other });
  await stranger.closed;
  t.is(stranger.received, 0);
});

test('allow and deny count the address that the header told', async (t) => {
  const { connect, metrics } = await startProxied(
    t,
    { trusted },
    { allow: ['203.0.113.0/24'], deny: ['203.0.113.9'] },
  );
  const ask = async (address: string): Promise<number> => {
    const client = await connect();
    await client.write(`PROXY TCP4 ${address} 198.51.100.1 1 2\r\n${GET}`);
    const status = await client.answer().then(
      (answer) => answer.status,
      () => 0,
    );
    return status;
  };
  t.is(await ask('203.0.113.7'), 200);
  t.is(await ask('203.0.113.9'), 0);
  t.is(await ask('127.0.0.1'), 0);
  t.is(metrics().refusedConnections, 2);
});
