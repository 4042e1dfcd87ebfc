import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { UpgradedSocket } from '../../lib/http/upgraded-socket.js';
import { HttpRequestTimeoutFeature, HttpUpgradeFeature } from '../../lib/features/http-features.js';
import { captureErrors } from '../support/quiet-console.js';
import type { RawClient } from '../support/raw-client.js';
import { codeOfError } from '../support/errors.js';
import { deferred, until, within } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

captureErrors();

const UPGRADE = 'GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';

/** Sends back what comes, and ends when the client does. */
function echo(socket: Duplex): void {
  socket.on('data', (data: Uint8Array) => {
    if (!socket.write(data)) {
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
  });
  socket.on('end', () => socket.end());
}

async function echoing(context: HttpContext): Promise<void> {
  echo(await context.upgrade());
}

/** The head of a 101, which has no body. */
async function switched(client: RawClient): Promise<string> {
  const answer = await client.answer('HEAD');
  if (answer.status !== 101) throw new Error(answer.head);
  return answer.head;
}

async function ask(client: RawClient, bytes: string): Promise<string> {
  void client.write(bytes);
  return switched(client);
}

test.serial('upgrade answers 101 and gives the connection', async (t) => {
  const handled = deferred();
  const server = await startServer(t, async (context) => {
    context.response.headers.set('Upgrade', 'echo/2');
    context.response.headers.set('X-Own', 'yes');
    context.response.onCompleted(() => {
      handled.resolve();
    });
    echo(await context.upgrade());
    t.is(context.response.statusCode, 101);
    t.true(context.response.hasStarted);
  });
  const client = await server.connect();
  const head = await ask(client, UPGRADE);
  t.regex(
    head,
    /^HTTP\/1\.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\/2\r\n/,
  );
  t.regex(head, /\r\nX-Own: yes\r\n/);
  t.regex(head, /\r\nDate: [^\r]+\r\n/);
  t.notRegex(head, /content-length|transfer-encoding/i);
  await handled.promise; // the handler is over, and the connection goes on
  for (const text of ['a', 'some more', 'x'.repeat(100_000)]) {
    void client.write(text);
    t.is((await client.bytes(text.length)).toString(), text);
  }
  t.is(server.metrics().upgradedConnections, 1);
  t.is(server.metrics().answers, 1);
  client.halfClose();
  t.is((await client.rest()).length, 0);
  t.is(await client.closed, 'end');
  await until(() => server.metrics().upgradedConnections === 0, 'no connection is upgraded');
  await until(() => server.metrics().connections === 0, 'the connection is gone');
});

test.serial('the one protocol that the client names is the one it gets', async (t) => {
  const server = await startServer(t, echoing);
  t.regex(await ask(await server.connect(), UPGRADE), /\r\nUpgrade: echo\r\n/);
});

test.serial(
  'bytes right behind the request are the first of the tunnel, wherever they are cut',
  async (t) => {
    const server = await startServer(t, echoing);
    const tail = 'GET /second HTTP/1.1\r\nHost: h\r\n\r\n';
    const all = UPGRADE + tail;
    for (let cut = 1; cut <= all.length; cut++) {
      const client = await server.connect();
      await client.write(all.slice(0, cut));
      if (cut < all.length) await client.write(all.slice(cut));
      await switched(client);
      t.is((await client.bytes(tail.length)).toString(), tail, String(cut));
      client.destroy();
    }
    t.is(server.metrics().requests, all.length);
  },
);

test.serial(
  'bytes behind the request and the end of the client arrive however late the upgrade is',
  async (t) => {
    let go = deferred();
    let got = deferred<string>();
    const server = await startServer(t, async (context) => {
      await go.promise;
      const socket = await context.upgrade();
      let text = '';
      for await (const piece of socket) text += String(piece);
      got.resolve(text);
    });
    for (const tail of ['', 'tail', 't'.repeat(50_000)]) {
      go = deferred();
      got = deferred();
      const client = await server.connect();
      await client.write(UPGRADE + tail);
      client.halfClose();
      await until(() => server.metrics().activeRequests > 0, 'the request runs');
      const { bytesReceived } = server.metrics();
      await until(() => server.metrics().bytesReceived === bytesReceived, 'what comes has come');
      go.resolve();
      await switched(client);
      t.is(await got.promise, tail);
      t.is((await client.rest()).length, 0);
      await until(() => server.metrics().connections === 0, 'the connection is gone');
    }
  },
);

test.serial(
  'an upgradable request waits its turn, and is answered as any other where nobody upgrades',
  async (t) => {
    const order: string[] = [];
    const first = deferred();
    const server = await startServer(t, async ({ request, response, isUpgradableRequest }) => {
      order.push(`${request.path} ${String(isUpgradableRequest)}`);
      if (request.path === '/first') await first.promise;
      await response.text(request.path);
    });
    const client = await server.connect();
    const after = 'GET /after HTTP/1.1\r\nHost: h\r\n\r\n';
    void client.write(`GET /first HTTP/1.1\r\nHost: h\r\n\r\n${UPGRADE}${after}`);
    await until(() => order.length === 1, 'the first request runs');
    first.resolve();
    t.deepEqual(
      [(await client.answer()).text, (await client.answer()).text, (await client.answer()).text],
      ['/first', '/chat', '/after'],
    );
    t.deepEqual(order, ['/first false', '/chat true', '/after false']);
  },
);

test.serial('what is no offer is an ordinary request', async (t) => {
  const server = await startServer(t, async (context) => {
    await context.response.text(String(context.isUpgradableRequest));
  });
  const body = await server.connect();
  const heads = [
    'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade:\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nUpgrade: echo\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 3\r\n\r\nabc',
    'POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ];
  for (const head of heads) t.is((await body.request(head)).text, 'false', head);
  const old = 'GET / HTTP/1.0\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';
  t.is((await server.once(old)).text, 'false');
  // The same lines again, as the core remembers them.
  const offers = [
    UPGRADE,
    UPGRADE,
    'POST / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, uPGRADE\r\nUpgrade: a, b/1\r\nContent-Length: 0\r\n\r\n',
  ];
  for (const head of offers) t.is((await body.request(head)).text, 'true', head);
});

test.serial('misuse is told by a code, and nothing was sent', async (t) => {
  const codes: unknown[] = [];
  const server = await startServer(t, async (context) => {
    const { request, response } = context;
    const attempt = async (): Promise<void> => {
      codes.push(codeOfError(await t.throwsAsync(context.upgrade())));
    };
    switch (request.path) {
      case '/plain':
        await attempt();
        break;
      case '/length':
        response.headers.set('Content-Length', 0);
        await attempt();
        response.headers.delete('Content-Length');
        break;
      case '/encoding':
        response.headers.set('Transfer-Encoding', 'chunked');
        await attempt();
        response.headers.delete('Transfer-Encoding');
        break;
      case '/several':
        await attempt();
        break;
      case '/started':
        await response.write('a');
        await attempt();
        return;
      case '/ended':
        await response.text('ended');
        await attempt();
        return;
      case '/late':
        response.onStarting(async () => {
          await Promise.resolve();
          throw new RangeError('not now');
        });
        t.is((await t.throwsAsync(context.upgrade())).message, 'not now');
        return;
    }
    await response.text('fine');
  });
  const send = async (path: string, upgrade: string): Promise<string> =>
    (await server.once(`GET ${path} HTTP/1.1\r\nHost: h\r\n${upgrade}\r\n`)).text;
  const offer = 'Connection: Upgrade\r\nUpgrade: echo\r\n';
  t.is(await send('/plain', ''), 'fine');
  t.is(await send('/length', offer), 'fine');
  t.is(await send('/encoding', offer), 'fine');
  t.is(await send('/several', 'Connection: Upgrade\r\nUpgrade: a, b\r\n'), 'fine');
  t.is(await send('/several', `${offer}Upgrade: b\r\n`), 'fine');
  t.is(await send('/started', offer), 'a');
  t.is(await send('/ended', offer), 'ended');
  t.is((await server.once(`GET /late HTTP/1.1\r\nHost: h\r\n${offer}\r\n`)).status, 500);
  t.deepEqual(codes, [
    'WH_ERR_NOT_UPGRADABLE',
    'WH_ERR_INVALID_HEADER_NAME',
    'WH_ERR_INVALID_HEADER_NAME',
    'WH_ERR_UPGRADE_PROTOCOL',
    'WH_ERR_UPGRADE_PROTOCOL',
    'WH_ERR_RESPONSE_STARTED',
    'WH_ERR_RESPONSE_ENDED',
  ]);
});

test.serial('after the upgrade there is no second one, and no answer', async (t) => {
  const codes: unknown[] = [];
  const server = await startServer(t, async (context) => {
    const socket = await context.upgrade();
    codes.push(codeOfError(await t.throwsAsync(context.upgrade())));
    codes.push(codeOfError(t.throws(() => context.response.write('x'))));
    codes.push(codeOfError(t.throws(() => context.response.text('x'))));
    codes.push(codeOfError(t.throws(() => (context.response.statusCode = 204))));
    socket.end('over');
  });
  const client = await server.connect();
  await ask(client, UPGRADE);
  client.halfClose();
  t.is((await client.rest()).toString(), 'over');
  t.deepEqual(codes, [
    'WH_ERR_ALREADY_UPGRADED',
    'WH_ERR_RESPONSE_ENDED',
    'WH_ERR_RESPONSE_ENDED',
    'WH_ERR_RESPONSE_STARTED',
  ]);
});

test.serial('onStarting runs before the 101, and can set its fields', async (t) => {
  const server = await startServer(t, async (context) => {
    context.response.onStarting(async () => {
      await Promise.resolve();
      context.response.headers.set('X-Late', '1');
    });
    (await context.upgrade()).end();
  });
  const client = await server.connect();
  t.regex(await ask(client, UPGRADE), /\r\nX-Late: 1\r\n/);
  client.halfClose();
  t.is((await client.rest()).length, 0);
});

test.serial(
  'over maxConcurrentUpgradedConnections the upgrade fails, with 503 where nobody catches it',
  async (t) => {
    const server = await startServer(t, echoing, {
      limits: { maxConcurrentUpgradedConnections: 2 },
    });
    const clients = [await server.connect(), await server.connect()];
    for (const client of clients) await ask(client, UPGRADE);
    const third = await server.connect();
    t.is((await third.request(UPGRADE)).status, 503);
    t.deepEqual(server.reported.map(codeOfError), ['WH_ERR_TOO_MANY_UPGRADED']);
    clients[0].destroy();
    await until(() => server.metrics().upgradedConnections === 1, 'one of them is gone');
    await ask(third, UPGRADE); // on the same connection
    t.is(server.metrics().upgradedConnections, 2);

    const none = await startServer(
      t,
      async (context) => {
        t.true(context.isUpgradableRequest);
        t.is(codeOfError(await t.throwsAsync(context.upgrade())), 'WH_ERR_TOO_MANY_UPGRADED');
        await context.response.text('caught');
      },
      { limits: { maxConcurrentUpgradedConnections: 0 } },
    );
    t.is((await none.once(UPGRADE)).text, 'caught');
  },
);

test.serial('each side ends by itself', async (t) => {
  const sockets: Duplex[] = [];
  const server = await startServer(t, async (context) => {
    sockets.push(await context.upgrade());
  });
  // Ours first: the client may go on.
  const one = await server.connect();
  await ask(one, UPGRADE);
  await until(() => sockets.length === 1, 'the first is upgraded');
  const [first] = sockets;
  first.end('last words');
  t.is((await one.bytes(10)).toString(), 'last words');
  t.is(await one.closed, 'end');
  void one.write('still here');
  const [data] = (await once(first, 'data')) as [Uint8Array];
  t.is(String(data), 'still here');
  t.is(server.metrics().connections, 1);
  one.halfClose();
  await once(first, 'close');
  await until(() => server.metrics().connections === 0, 'the connection is gone');
  // The client's first: the application may go on.
  const two = await server.connect();
  await ask(two, UPGRADE);
  await until(() => sockets.length === 2, 'the second is upgraded');
  const second = sockets[1];
  two.halfClose();
  await once(second.resume(), 'end');
  for (let i = 0; i < 3; i++) {
    second.write('more');
    t.is((await two.bytes(4)).toString(), 'more');
  }
  second.end();
  t.is((await two.rest()).length, 0);
  await until(() => server.metrics().connections === 0, 'the connection is gone');
});

test.serial('the end of a client is noticed where nobody reads', async (t) => {
  const ended = deferred();
  const server = await startServer(t, async (context) => {
    const socket = await context.upgrade();
    socket.once('end', () => {
      socket.end();
      ended.resolve();
    });
  });
  const client = await server.connect();
  await ask(client, UPGRADE);
  client.halfClose();
  await within(ended.promise, 'the end');
  t.is((await client.rest()).length, 0);
  await until(() => server.metrics().connections === 0, 'the connection is gone');
});

test.serial('what a client sent before both ends is read although it waited', async (t) => {
  const sockets: Duplex[] = [];
  const server = await startServer(t, async (context) => {
    sockets.push((await context.upgrade()).pause());
  });
  const client = await server.connect();
  await ask(client, UPGRADE);
  const [socket] = sockets;
  const sent = Buffer.alloc(300_000, 'b');
  socket.end();
  void client.write(sent);
  client.halfClose();
  t.is(await client.closed, 'end');
  await until(() => server.metrics().bytesReceived > 16_384, 'some of it has come');
  let received = 0;
  for await (const piece of socket) received += (piece as Uint8Array).length;
  t.is(received, sent.length);
  await until(() => server.metrics().connections === 0, 'the connection is gone');
});

test.serial('a reset of the client is an error that nobody has to listen to', async (t) => {
  const sockets: Duplex[] = [];
  const aborted: boolean[] = [];
  const server = await startServer(t, async (context) => {
    const { requestAborted } = context;
    const socket = await context.upgrade();
    sockets.push(socket);
    if (context.request.path !== '/wait') return;
    await once(requestAborted, 'abort');
    aborted.push(requestAborted.aborted);
  });
  const one = await server.connect();
  await ask(one, UPGRADE);
  const errored = once(sockets[0], 'error');
  await one.reset();
  t.is(codeOfError((await errored)[0]), 'ECONNRESET');
  t.true(sockets[0].destroyed);
  const two = await server.connect();
  await ask(two, UPGRADE.replace('/chat', '/wait'));
  await two.reset();
  await until(() => aborted.length === 1, 'the handler is told');
  t.deepEqual(aborted, [true]);
  t.is(server.metrics().upgradedConnections, 0);
});

test.serial('a destroyed socket takes its connection along, with what was written', async (t) => {
  const server = await startServer(t, async (context) => {
    const socket = (await context.upgrade()) as UpgradedSocket;
    switch (context.request.path) {
      case '/destroy':
        socket.write('written');
        socket.destroy();
        break;
      case '/soon':
        socket.write('written');
        socket.destroySoon();
        break;
      case '/reset':
        socket.resetAndDestroy();
        break;
      case '/abort':
        context.abort();
        break;
      case '/throw':
        throw new Error('after the upgrade');
    }
  });
  for (const path of ['/destroy', '/soon']) {
    const client = await server.connect();
    await ask(client, UPGRADE.replace('/chat', path));
    t.is((await client.rest()).toString(), 'written', path);
    t.is(await client.closed, 'end', path);
  }
  for (const path of ['/reset', '/abort', '/throw']) {
    const client = await server.connect();
    void client.write(UPGRADE.replace('/chat', path));
    t.is(await client.closed, 'reset', path);
  }
  await until(() => server.metrics().connections === 0, 'all connections are gone');
  t.is(server.reported.length, 1);
});

test.serial('a destroyed socket whose client reads nothing is gone all the same', async (t) => {
  const sockets: Duplex[] = [];
  const server = await startServer(t, async (context) => {
    sockets.push(await context.upgrade());
  });
  const client = await server.connect();
  await ask(client, UPGRADE);
  client.pause();
  const [socket] = sockets;
  const length = 20_000_000;
  socket.write(Buffer.alloc(length));
  await until(() => server.metrics().bytesSent > 100_000, 'some of it is sent');
  socket.destroy();
  await until(() => server.metrics().connections === 0, 'the connection is gone');
  client.resume();
  await client.closed; // Node tells a reset behind unread bytes as an end
  t.true(client.received < length);
});

test.serial('a writer waits for a slow reader, and a client for a slow application', async (t) => {
  const sockets: Duplex[] = [];
  const server = await startServer(t, async (context) => {
    sockets.push((await context.upgrade()).pause());
  });
  const client = await server.connect();
  await ask(client, UPGRADE);
  const [socket] = sockets;
  // Out: one large write holds up the next ones, and its memory can be used again when it is done.
  client.pause();
  const out = Buffer.alloc(30_000_000, 'o');
  let written = false;
  socket.write(out, () => {
    written = true;
    out.fill('x');
  });
  t.true(socket.writableNeedDrain);
  client.socket.resume();
  const received = await client.bytes(out.length);
  t.true(received.equals(Buffer.alloc(out.length, 'o')));
  await until(() => written, 'the write is done');
  // In: what the application does not read stays with the client.
  const before = server.metrics().bytesReceived;
  const big = Buffer.alloc(60_000_000, 'i');
  let delivered = false;
  void client.write(big).then(() => (delivered = true));
  await until(() => server.metrics().bytesReceived > before, 'some of it has come');
  t.false(delivered);
  t.true(server.metrics().bytesReceived - before < 1_000_000);
  let read = 0;
  for await (const piece of socket) {
    read += (piece as Uint8Array).length;
    if (read === big.length) break; // destroys the socket
  }
  t.is(read, big.length);
  await client.closed;
});

test.serial('the socket has what programs ask of one', async (t) => {
  const server = await startServer(t, async (context) => {
    const { connection } = context;
    const socket = (await context.upgrade()) as UpgradedSocket;
    t.is(socket.remoteAddress, '127.0.0.1');
    t.is(socket.remotePort, connection.remotePort);
    t.is(socket.localPort, connection.localPort);
    t.is(socket.remoteFamily, 'IPv4');
    t.deepEqual(socket.address(), {
      address: '127.0.0.1',
      port: connection.localPort,
      family: 'IPv4',
    });
    t.is(socket.setNoDelay(true).setKeepAlive(true, 1).ref().unref(), socket);
    t.is(codeOfError(t.throws(() => socket.setTimeout(-1))), 'WH_ERR_INVALID_ARGUMENT');
    const timeouts = once(socket, 'timeout');
    t.is(socket.setTimeout(20), socket);
    await timeouts;
    t.is(socket.setTimeout(0).timeout, 0);
    t.true(context.features.get(HttpUpgradeFeature)?.isUpgradableRequest);
    t.true([...context.features].some(([key]) => key === HttpUpgradeFeature.key));
    socket.end(String(socket.bytesRead));
  });
  const client = await server.connect();
  await ask(client, UPGRADE);
  client.halfClose();
  t.is((await client.rest()).toString(), '0');
});

test.serial('the time of a request does not count for what it was upgraded to', async (t) => {
  const server = await startServer(t, async (context) => {
    const timeout = context.features.get(HttpRequestTimeoutFeature);
    timeout?.setTimeout(60_000);
    t.true((timeout?.timeLeft ?? 0) > 0);
    const socket = await context.upgrade();
    t.is(timeout?.timeLeft, undefined);
    socket.end();
  });
  const client = await server.connect();
  await ask(client, UPGRADE);
  client.halfClose();
  t.is((await client.rest()).length, 0);
});

test.serial('many upgraded connections at once, each with its own bytes', async (t) => {
  const server = await startServer(t, echoing);
  await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      const client = await server.connect();
      await ask(client, UPGRADE);
      for (let i = 0; i < 20; i++) {
        const text = `${String(n)}:${String(i)};`.repeat(1 + ((n * i) % 97));
        void client.write(text);
        if ((await client.bytes(text.length)).toString() !== text) throw new Error(text);
      }
      client.halfClose();
      await client.rest();
    }),
  );
  await until(() => server.metrics().connections === 0, 'all connections are gone');
  t.is(server.metrics().answers, 200);
});
