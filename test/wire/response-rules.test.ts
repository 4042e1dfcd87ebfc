/** What the server makes of heads that applications set: framing, Connection, CONNECT (kestrel.md A7). */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import { codeOf } from '../support/errors.js';
import { captureErrors } from '../support/quiet-console.js';
import { within } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

captureErrors();

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const OLD = 'GET / HTTP/1.0\r\n\r\n';
const OLD_KEPT = 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n';
const LAST = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

/** Sets Connection to the values and answers; what stands on the wire then. */
const CONNECTIONS: readonly (readonly [
  values: readonly string[],
  request: string,
  sent: string,
])[] = [
  [['close'], GET, 'close'],
  [['Close'], GET, 'close'],
  [['CLOSE , x'], GET, 'x | close'],
  [['x', 'close'], GET, 'x | close'],
  [['keep-alive'], GET, ''],
  [['Keep-Alive, X-Hop'], GET, 'X-Hop'],
  [['X-Hop'], GET, 'X-Hop'],
  [[''], GET, ''],
  [[', ,'], GET, ''],
  [['closed'], GET, 'closed'],
  [['keep-alive'], LAST, 'close'],
  [['keep-alive, close'], GET, 'close'],
  [['keep-alive'], OLD, 'close'],
  [['close'], OLD_KEPT, 'close'],
  [['keep-alive'], OLD_KEPT, 'keep-alive'],
  [['X-Hop'], OLD_KEPT, 'X-Hop | keep-alive'],
];

test('Connection of the application: close is honoured, persistence is the server’s, the rest stays', async (t) => {
  let values: readonly string[] = [];
  const { connect } = await startServer(t, ({ request, response }) => {
    if (request.path === '/next') return response.text('next');
    response.headers.set('Connection', values);
    return response.text('abc');
  });
  for (const [set, request, sent] of CONNECTIONS) {
    values = set;
    const name = `${set.join('|')} for ${request}`;
    const client = await connect();
    const answer = await client.request(request);
    t.is(answer.text, 'abc');
    t.is(answer.headers.get('connection')?.join(' | ') ?? '', sent, name);
    if (sent.endsWith('close')) {
      t.is(await client.closed, 'end', name);
    } else {
      const next = await client.request('GET /next HTTP/1.1\r\nHost: h\r\n\r\n');
      t.is(next.text, 'next', name);
    }
    client.destroy();
  }
});

test('Transfer-Encoding of the application is refused before anything is sent, with Content-Length too', async (t) => {
  for (const value of ['chunked', 'identity', 'gzip', 'gzip, chunked', '']) {
    for (const length of [undefined, 3]) {
      for (const way of ['text', 'write', 'end'] as const) {
        let code: unknown;
        const { once } = await startServer(t, ({ response }) => {
          response.headers.set('Transfer-Encoding', value);
          response.contentLength = length;
          code = codeOf(() => (way === 'end' ? response.end() : response[way]('abc')));
          t.false(response.hasStarted);
          response.headers.delete('Transfer-Encoding');
          response.contentLength = undefined;
          return response.text('clean');
        });
        const answer = await once(GET);
        t.is(code, 'WH_ERR_INVALID_HEADER_NAME');
        t.is(answer.text, 'clean');
        t.false(answer.headers.has('transfer-encoding'));
      }
    }
  }
});

test('a first write that is too long is refused before anything is sent', async (t) => {
  for (const method of ['GET', 'HEAD']) {
    for (const when of ['at once', 'behind onStarting']) {
      const { connect, reported } = await startServer(t, async ({ response }) => {
        response.contentLength = 3;
        if (when !== 'at once') response.onStarting(() => delay(1));
        await response.write('abcd');
      });
      const client = await connect();
      const answer = await client.request(GET.replace('GET', method), method);
      t.is(answer.status, 500);
      t.is((reported[0] as { code: string }).code, 'WH_ERR_CONTENT_LENGTH_EXCEEDED');
      t.is((await client.request(GET.replace('GET', method), method)).status, 500);
    }
  }
});

const NO_BODY: Readonly<Record<string, (context: HttpContext) => Promise<void> | void>> = {
  length: ({ response }) => {
    response.contentLength = 5;
  },
  'length and write': async ({ response }) => {
    response.contentLength = 5;
    await response.write('abc');
  },
  'length, write and end': async ({ response }) => {
    response.contentLength = 5;
    await response.write('abcde');
    await response.end();
  },
};

for (const [name, act] of Object.entries(NO_BODY)) {
  test(`statuses without a body: ${name}`, async (t) => {
    const { connect } = await startServer(t, (context) => {
      if (context.request.path === '/next') return context.response.text('next');
      context.response.statusCode = Number(context.request.path.slice(1));
      return act(context);
    });
    const client = await connect();
    for (const [status, length] of [
      [204, undefined],
      [205, ['0']],
      [304, ['5']],
    ] as const) {
      for (const method of ['GET', 'HEAD']) {
        const request = `${method} /${String(status)} HTTP/1.1\r\nHost: h\r\n\r\n`;
        const answer = await client.request(request, method);
        t.is(answer.status, status);
        t.is(answer.body.length, 0);
        t.deepEqual(answer.headers.get('content-length'), length, String(status));
        t.false(answer.headers.has('transfer-encoding'));
        const next = await client.request('GET /next HTTP/1.1\r\nHost: h\r\n\r\n');
        t.is(next.text, 'next');
      }
    }
  });
}

/** What follows is no HTTP to the client, so none of it may be HTTP to us. */
test('a 2xx to CONNECT that makes no tunnel is a 405, which ends the connection', async (t) => {
  const ways: Readonly<Record<string, (context: HttpContext) => Promise<void> | void>> = {
    text: ({ response }) => response.text('abc'),
    'text, later': async ({ response }) => {
      await delay(1);
      await response.text('abc');
    },
    write: ({ response }) => response.write('abc'),
    nothing: () => undefined,
    length: ({ response }) => {
      response.contentLength = 5;
    },
    201: ({ response }) => {
      response.statusCode = 201;
      return response.text('abc');
    },
    205: ({ response }) => {
      response.statusCode = 205;
    },
  };
  for (const [name, act] of Object.entries(ways)) {
    const { connect, metrics } = await startServer(t, act);
    const client = await connect();
    void client.write(`CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n${GET}${GET}`);
    const wire = (await within(client.rest(), 'the end')).toString();
    t.regex(wire, /^HTTP\/1.1 405 /, name);
    t.true(wire.endsWith('\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'), wire);
    t.regex(wire, /\r\nAllow: \r\n/, name);
    t.is(metrics().requests, 1, name);
  }
});

test('any other answer to CONNECT is as any other, and the last: the client may have sent ahead', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    if (request.method === 'CONNECT') response.statusCode = 405;
    await response.write('abc');
  });
  const client = await connect();
  void client.write(`CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n${GET}`);
  const answer = await client.answer();
  t.is(answer.status, 405);
  t.is(answer.text, 'abc');
  t.deepEqual(answer.headers.get('connection'), ['close']);
  t.is((await client.rest()).length, 0);
});
