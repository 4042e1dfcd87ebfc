/** The ws package, client and server, on this server. One test after the other: they move many bytes. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { ClientOptions, RawData, ServerOptions as WebSocketOptions } from 'ws';
import { WebSocket, WebSocketServer } from 'ws';
import { toNodeUpgrade } from '../../lib/adapters/node-upgrade.js';
import { acceptWebSocket } from '../../lib/adapters/websocket.js';
import type { ServerOptions } from '../../lib/server/options.js';
import { codeOfError } from '../support/errors.js';
import { until, within } from '../support/until.js';
import type { WireServer } from '../support/wire-server.js';
import { startServer } from '../support/wire-server.js';

interface Closing {
  readonly code: number;
  readonly reason: string;
}

interface EchoServer extends WireServer {
  readonly wss: WebSocketServer;
  /** The server's ends, in the order in which they were accepted. */
  readonly accepted: WebSocket[];
  readonly closings: Closing[];
  /** A client that is open. */
  readonly open: (options?: ClientOptions, protocols?: string[]) => Promise<WebSocket>;
}

/** A server that sends every message back as what it was. */
async function startEcho(
  t: ExecutionContext,
  options: WebSocketOptions = {},
  serverOptions: ServerOptions = {},
): Promise<EchoServer> {
  const wss = new WebSocketServer({ noServer: true, ...options });
  const accepted: WebSocket[] = [];
  const closings: Closing[] = [];
  const server = await startServer(
    t,
    async (context) => {
      const socket = await acceptWebSocket(context, wss);
      accepted.push(socket);
      socket.on('error', () => undefined);
      socket.on('close', (code, reason) => {
        closings.push({ code, reason: reason.toString() });
      });
      socket.on('message', (data, isBinary) => {
        socket.send(data, { binary: isBinary });
      });
    },
    serverOptions,
  );
  const clients: WebSocket[] = [];
  t.teardown(() => {
    for (const client of clients) client.terminate();
  });
  const open = async (
    clientOptions: ClientOptions = {},
    protocols: string[] = [],
  ): Promise<WebSocket> => {
    const client = new WebSocket(`ws://127.0.0.1:${String(server.port)}/chat`, protocols, {
      perMessageDeflate: false,
      ...clientOptions,
    });
    clients.push(client);
    client.on('error', () => undefined);
    await within(once(client, 'open'), 'an open WebSocket');
    return client;
  };
  return { ...server, wss, accepted, closings, open };
}

/** Sends a message and takes the next one. */
async function exchange(
  client: WebSocket,
  data: string | Uint8Array,
): Promise<{ data: Buffer; isBinary: boolean }> {
  const message = once(client, 'message');
  client.send(data);
  const [received, isBinary] = (await within(message, 'a message')) as [RawData, boolean];
  return { data: received as Buffer, isBinary };
}

async function closing(client: WebSocket): Promise<Closing> {
  const [code, reason] = (await within(once(client, 'close'), 'the close')) as [number, Buffer];
  return { code, reason: reason.toString() };
}

const TEXTS = [
  '',
  'a',
  'grüße €𝄞',
  'x'.repeat(125),
  'x'.repeat(126),
  'x'.repeat(65_535),
  'x'.repeat(65_536),
];

for (const compressed of [false, true]) {
  test.serial(
    `messages come back as they were, ${compressed ? 'compressed' : 'plain'}`,
    async (t) => {
      const server = await startEcho(t, {
        perMessageDeflate: compressed ? { threshold: 0 } : false,
        maxPayload: 0,
      });
      const client = await server.open({
        perMessageDeflate: compressed ? { threshold: 0 } : false,
      });
      t.is(client.extensions, compressed ? 'permessage-deflate' : '');
      for (const text of TEXTS) {
        const { data, isBinary } = await exchange(client, text);
        t.false(isBinary);
        t.is(data.toString(), text);
      }
      for (const length of [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 2_000_001]) {
        const sent = randomBytes(length);
        const { data, isBinary } = await exchange(client, sent);
        t.true(isBinary);
        t.true(sent.equals(data), String(length));
      }
      client.close(1000, 'done');
      t.deepEqual(await closing(client), { code: 1000, reason: 'done' });
      await until(() => server.metrics().connections === 0, 'the connection is gone');
      t.deepEqual(server.closings, [{ code: 1000, reason: 'done' }]);
      t.deepEqual(server.reported, []);
    },
  );

  test.serial(`fragments make one message, ${compressed ? 'compressed' : 'plain'}`, async (t) => {
    const perMessageDeflate = compressed ? { threshold: 0 } : false;
    const server = await startEcho(t, { perMessageDeflate });
    const client = await server.open({ perMessageDeflate });
    const message = once(client, 'message');
    for (let i = 0; i < 50; i++) client.send(`part ${String(i)};`, { fin: i === 49 });
    client.ping('between'); // a control frame between fragments is allowed
    const [data] = (await message) as [Buffer];
    t.is(data.toString(), Array.from({ length: 50 }, (_, i) => `part ${String(i)};`).join(''));
  });
}

test.serial('many messages ahead come back in order', async (t) => {
  const server = await startEcho(t);
  const client = await server.open();
  const received: string[] = [];
  client.on('message', (data: Buffer) => received.push(data.toString()));
  const sent = Array.from({ length: 5000 }, (_, i) => String(i).repeat(1 + (i % 50)));
  for (const text of sent) client.send(text);
  await until(() => received.length === sent.length, 'all are back');
  t.deepEqual(received, sent);
});

test.serial('ping and pong in both directions', async (t) => {
  const server = await startEcho(t);
  const client = await server.open();
  const pong = once(client, 'pong');
  client.ping('from the client');
  t.is(String((await within(pong, 'a pong'))[0]), 'from the client');
  const [socket] = server.accepted;
  const back = once(socket, 'pong');
  socket.ping('from the server');
  t.is(String((await within(back, 'a pong'))[0]), 'from the server');
});

test.serial('either side closes, with every code that may be sent', async (t) => {
  const server = await startEcho(t);
  const codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 4999];
  for (const code of codes) {
    const client = await server.open();
    const ours = server.accepted.length - 1;
    client.close(code, `reason ${String(code)}`);
    t.deepEqual(await closing(client), { code, reason: `reason ${String(code)}` });
    await until(() => server.closings.length === ours + 1, 'the server has heard of it');
    t.is(server.closings[ours].code, code);
  }
  for (const code of codes) {
    const client = await server.open();
    const closed = closing(client);
    server.accepted.at(-1)?.close(code, 'ours');
    t.deepEqual(await closed, { code, reason: 'ours' });
  }
  const client = await server.open();
  const closed = closing(client);
  server.accepted.at(-1)?.close();
  t.deepEqual(await closed, { code: 1005, reason: '' });
  await until(() => server.metrics().connections === 0, 'all connections are gone');
  t.is(server.wss.clients.size, 0);
});

test.serial('either side goes without a word', async (t) => {
  const server = await startEcho(t);
  const one = await server.open();
  one.terminate();
  await until(() => server.closings.length === 1, 'the server has heard of it');
  const two = await server.open();
  const closed = closing(two);
  server.accepted[1].terminate();
  t.is((await closed).code, 1006);
  await until(() => server.closings.length === 2, 'both are closed');
  t.deepEqual(
    server.closings.map(({ code }) => code),
    [1006, 1006],
  );
  await until(() => server.metrics().connections === 0, 'all connections are gone');
});

test.serial('a thousand at once', async (t) => {
  const server = await startEcho(t);
  const clients = await Promise.all(Array.from({ length: 1000 }, () => server.open()));
  t.is(server.metrics().upgradedConnections, 1000);
  await Promise.all(
    clients.map(async (client, i) => {
      const text = `${String(i)} `.repeat(1 + (i % 200));
      t.is((await exchange(client, text)).data.toString(), text);
    }),
  );
  await Promise.all(
    clients.map(async (client) => {
      const closed = closing(client);
      client.close();
      await closed;
    }),
  );
  await until(() => server.metrics().connections === 0, 'all connections are gone');
});

test.serial('a slow reader holds the sender up, and gets everything', async (t) => {
  const server = await startEcho(t);
  const client = await server.open();
  const [socket] = server.accepted;
  client.pause();
  const piece = randomBytes(100_000);
  let handed = 0;
  for (let i = 0; i < 300; i++) socket.send(piece, () => handed++);
  const other = await server.open();
  for (let before = -1; before !== handed;) {
    before = handed;
    for (let i = 0; i < 20; i++) await exchange(other, 'meanwhile'); // others are served
  }
  t.true(server.metrics().bytesSent < 300 * piece.length);
  t.true(handed < 300);
  t.true(socket.bufferedAmount > 0);
  let received = 0;
  client.on('message', (data: Buffer) => {
    if (data.equals(piece)) received++;
  });
  client.resume();
  await until(() => received === 300, 'everything has come');
  t.is(handed, 300);
  t.is(socket.bufferedAmount, 0);
});

test.serial('a slow server holds the client up', async (t) => {
  const server = await startEcho(t);
  const client = await server.open();
  const [socket] = server.accepted;
  socket.pause();
  const before = server.metrics().bytesReceived;
  const piece = randomBytes(500_000);
  let back = 0;
  client.on('message', () => back++);
  for (let i = 0; i < 40; i++) client.send(piece);
  await until(() => server.metrics().bytesReceived > before + 1000, 'something has come');
  await exchange(await server.open(), 'others are served');
  t.true(server.metrics().bytesReceived - before < 3_000_000);
  t.true(client.bufferedAmount > 0);
  socket.resume();
  await until(() => back === 40, 'all are back');
});

test.serial('subprotocols and more fields are those that the server chose', async (t) => {
  const server = await startEcho(t, { handleProtocols: (offered) => [...offered][1] });
  server.wss.on('headers', (headers: string[], request: IncomingMessage) => {
    headers.push(`X-From: ${String(request.socket.remoteAddress)} ${String(request.url)}`);
  });
  const answers: IncomingMessage[] = [];
  const client = new WebSocket(`ws://127.0.0.1:${String(server.port)}/a?b`, ['one', 'two']);
  client.on('upgrade', (response) => answers.push(response));
  await once(client, 'open');
  t.is(client.protocol, 'two');
  t.is(answers[0].headers['x-from'], '127.0.0.1 /a?b');
  t.is(answers[0].headers.connection, 'Upgrade');
  t.is(answers[0].headers.server, 'windhover');
  client.terminate();
});

test.serial('what the application prepared goes out with the 101', async (t) => {
  const wss = new WebSocketServer({ noServer: true });
  const server = await startServer(t, async (context) => {
    context.response.headers.append('Set-Cookie', 'session=1');
    (await acceptWebSocket(context, wss)).close();
  });
  const client = new WebSocket(server.url.replace('http', 'ws'));
  const [response] = (await once(client, 'upgrade')) as [IncomingMessage];
  t.deepEqual(response.headers['set-cookie'], ['session=1']);
  await once(client, 'close');
});

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const HANDSHAKE = [
  'GET /chat HTTP/1.1',
  'Host: h',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${KEY}`,
];

function head(lines: readonly string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

test.serial('a wrong handshake is answered as ws says, and then the connection ends', async (t) => {
  const server = await startEcho(t, {
    verifyClient: ({ req }: { req: IncomingMessage }) => req.url !== '/forbidden',
  });
  const replace = (name: string, line: string): string =>
    head(HANDSHAKE.map((old) => (old.startsWith(name) ? line : old)));
  const cases: readonly [request: string, status: number, text: string][] = [
    [replace('Sec-WebSocket-Version', 'Sec-WebSocket-Version: 12'), 400, 'Sec-WebSocket-Version'],
    [replace('Sec-WebSocket-Version', 'X: y'), 400, 'Sec-WebSocket-Version'],
    [replace('Sec-WebSocket-Key', 'X: y'), 400, 'Sec-WebSocket-Key'],
    [replace('Sec-WebSocket-Key', 'Sec-WebSocket-Key: short'), 400, 'Sec-WebSocket-Key'],
    [replace('Upgrade', 'Upgrade: other'), 400, 'Upgrade'],
    [replace('GET', 'POST /chat HTTP/1.1'), 405, 'method'],
    [replace('GET', 'GET /forbidden HTTP/1.1'), 401, 'Unauthorized'],
  ];
  for (const [request, status, text] of cases) {
    const client = await server.connect();
    const answer = await client.request(request);
    t.is(answer.status, status, request);
    t.true(answer.text.includes(text), answer.text);
    t.deepEqual(answer.headers.get('connection'), ['close']);
    t.is((await client.rest()).length, 0);
  }
  t.is(server.accepted.length, 0);
  t.deepEqual(server.reported, []);
  t.is(server.metrics().upgradedConnections, 0);
});

test.serial(
  'a request that asks for no WebSocket is told what to ask for, and the connection lives',
  async (t) => {
    const server = await startEcho(t);
    const client = await server.connect();
    for (let i = 0; i < 2; i++) {
      const answer = await client.request('GET /chat HTTP/1.1\r\nHost: h\r\n\r\n');
      t.is(answer.status, 426);
      t.deepEqual(answer.headers.get('upgrade'), ['websocket']);
    }
    t.deepEqual(server.reported, []);
  },
);

test.serial('an answer that takes time is waited for', async (t) => {
  const later = (
    allowed: boolean,
    callback: (...result: [boolean, number?, string?]) => void,
  ): void => {
    setImmediate(() => {
      callback(allowed, 429, 'Slow down');
    });
  };
  const server = await startEcho(t, {
    verifyClient: ({ req }: { req: IncomingMessage }, callback) => {
      later(req.url === '/chat', callback);
    },
  });
  t.is((await exchange(await server.open(), 'hello')).data.toString(), 'hello');
  const refused = await server.once(head(HANDSHAKE).replace('/chat', '/other'));
  t.is(refused.status, 429);
  t.is(refused.text, 'Slow down');
});

test.serial('frames right behind the handshake are answered', async (t) => {
  const server = await startEcho(t);
  // One masked text frame, RFC 6455 section 5.7.
  const frame = Buffer.from([0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
  const client = await server.connect();
  void client.write(Buffer.concat([Buffer.from(head(HANDSHAKE)), frame, frame]));
  const answer = await client.answer('HEAD');
  t.is(answer.status, 101);
  const accept = createHash('sha1')
    .update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  t.deepEqual(answer.headers.get('sec-websocket-accept'), [accept]);
  t.deepEqual(await client.bytes(14), Buffer.from('\x81\x05Hello\x81\x05Hello', 'latin1'));
});

test.serial('what breaks the protocol closes with the code for it', async (t) => {
  const server = await startEcho(t, { maxPayload: 1000 });
  const cases: readonly [bytes: number[], code: number][] = [
    [[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f], 1002], // not masked
    [[0xc1, 0x80, 0, 0, 0, 0], 1002], // a reserved bit
    [[0x83, 0x80, 0, 0, 0, 0], 1002], // a reserved opcode
    [[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007], // not UTF-8
    [[0x82, 0xfe, 0x10, 0x00, 0, 0, 0, 0], 1009], // too long
  ];
  for (const [bytes, code] of cases) {
    const client = await server.connect();
    void client.write(head(HANDSHAKE));
    await client.answer('HEAD');
    void client.write(Buffer.from(bytes));
    const close = await client.bytes(4);
    t.deepEqual([close[0], close.readUInt16BE(2)], [0x88, code]);
    client.halfClose();
    await client.closed;
  }
  await until(() => server.metrics().connections === 0, 'all connections are gone');
});

test.serial('over the limit the handshake is answered 503', async (t) => {
  const limits = { maxConcurrentUpgradedConnections: 1 };
  const server = await startEcho(t, {}, { limits });
  const first = await server.open();
  t.is((await server.once(head(HANDSHAKE))).status, 503);
  t.deepEqual(server.reported.map(codeOfError), ['WH_ERR_TOO_MANY_UPGRADED']);
  t.is((await exchange(first, 'still there')).data.toString(), 'still there');
  first.close();
  await until(() => server.metrics().upgradedConnections === 0, 'there is room');
  await server.open();
  t.is(server.accepted.length, 2);
});

test.serial('handleUpgrade as with node:http, without the helper', async (t) => {
  const wss = new WebSocketServer({ noServer: true });
  const server = await startServer(t, (context) => {
    const { request, socket, head, settled } = toNodeUpgrade(context);
    wss.handleUpgrade(request, socket, head, (webSocket) =>
      wss.emit('connection', webSocket, request),
    );
    return settled;
  });
  wss.on('connection', (webSocket, request) => {
    webSocket.on('message', (data: Buffer) => {
      webSocket.send(`${String(request.headers['x-a'])} ${data.toString()}`);
    });
  });
  const client = new WebSocket(server.url.replace('http', 'ws'), {
    headers: { 'X-A': ['1', '2'] },
  });
  await once(client, 'open');
  t.is((await exchange(client, 'hello')).data.toString(), '1, 2 hello');
  // Nobody listens for `closing`: the connection ends as idle ones do.
  const closed = closing(client);
  await server.server.stop();
  t.is((await closed).code, 1006);
});

test.serial(
  'an upgrade listener may answer as it likes, and what it does wrong is told',
  async (t) => {
    const server = await startServer(t, async (context) => {
      const { socket, settled } = toNodeUpgrade(context);
      switch (context.request.path) {
        case '/pieces':
          for (const byte of 'HTTP/1.1 101 Whatever\r\nUpgrade: x\r\nX-A: b\r\n\r\nfirst')
            socket.write(byte);
          socket.end();
          break;
        case '/refuse':
          socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\nContent-Type: text/x\r\n');
          socket.end('Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nno way');
          break;
        case '/destroy':
          socket.destroy();
          break;
        case '/garbage':
          socket.write('this is no answer\r\n\r\n');
          break;
        case '/empty':
          socket.end();
          break;
        case '/split':
          socket.write('HTTP/1.1 101 X\r\nUpgrade: x\r\nX-A: \0\r\n\r\n');
          break;
      }
      await settled;
    });
    const upgrade = (path: string): string =>
      `GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n`;
    const pieces = await server.connect();
    void pieces.write(upgrade('/pieces'));
    t.regex(
      (await pieces.answer('HEAD')).head,
      /^HTTP\/1\.1 101 Switching Protocols\r\n[^]*X-A: b\r\n/,
    );
    pieces.halfClose();
    t.is((await pieces.rest()).toString(), 'first');
    const refused = await server.once(upgrade('/refuse'));
    t.is(refused.status, 403);
    t.is(refused.text, 'no way');
    t.deepEqual(refused.headers.get('content-type'), ['text/x']);
    t.is(refused.framing, 'length');
    for (const path of ['/destroy', '/empty']) {
      const destroyed = await server.connect();
      void destroyed.write(upgrade(path));
      t.is(await destroyed.closed, 'reset', path);
    }
    for (const path of ['/garbage', '/split'])
      t.is((await server.once(upgrade(path))).status, 500, path);
    t.deepEqual(server.reported.map(codeOfError), [
      'WH_ERR_INVALID_ANSWER',
      'WH_ERR_INVALID_HEADER_VALUE',
    ]);
  },
);

test.serial('a stop tells the clients, and waits for their goodbye', async (t) => {
  const server = await startEcho(t);
  const clients = await Promise.all(Array.from({ length: 50 }, () => server.open()));
  const closed = Promise.all(clients.map(closing));
  await server.server.stop();
  t.deepEqual(
    new Set((await closed).map(({ code, reason }) => `${String(code)} ${reason}`)),
    new Set(['1001 the server stops']),
  );
  t.is(server.server.metrics().upgradedConnections, 0);
  t.is(server.wss.clients.size, 0);
});

test.serial('a stop ends what has not closed by itself when its time is over', async (t) => {
  const server = await startEcho(t);
  const client = await server.open();
  client.pause(); // never answers the close
  const controller = new AbortController();
  const stopped = server.server.stop(controller.signal);
  await until(() => server.accepted[0].readyState === WebSocket.CLOSING, 'the close was sent');
  t.is(server.metrics().connections, 1);
  controller.abort();
  await stopped;
  await until(() => server.closings.length === 1, 'the server has heard of it');
  t.is(server.closings[0].code, 1006);
  client.terminate();
});
