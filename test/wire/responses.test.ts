/** What applications do, and what stands on the wire for it. Rows are Kestrel's but where noted. */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import { deferred } from '../support/until.js';
import { captureErrors } from '../support/quiet-console.js';
import { startServer } from '../support/wire-server.js';

captureErrors();

type Act = (context: HttpContext) => void | Promise<void>;

interface Expected {
  readonly status: number;
  readonly framing: 'length' | 'chunked' | 'close' | 'none';
  readonly body: string;
  /** Content-Length where it is not that of the body. */
  readonly contentLength?: string | undefined;
  /** Whether the connection ends. */
  readonly closes?: true;
  readonly reason?: string;
}

interface Row {
  readonly request?: string;
  readonly act: Act;
  readonly expected: Expected;
}

const write =
  (...pieces: readonly string[]): Act =>
  async ({ response }) => {
    for (const piece of pieces) await response.write(piece);
  };

const ROWS: Readonly<Record<string, Row>> = {
  nothing: {
    act: () => undefined,
    expected: { status: 200, framing: 'length', body: '' },
  },
  'nothing, later': {
    act: () => delay(1),
    expected: { status: 200, framing: 'length', body: '' },
  },
  'one write': {
    act: write('abc'),
    expected: { status: 200, framing: 'chunked', body: 'abc' },
  },
  'several writes': {
    act: write('abc', '', 'd', 'ef'),
    expected: { status: 200, framing: 'chunked', body: 'abcdef' },
  },
  'a write and an end': {
    act: async ({ response }) => {
      await response.write('abc');
      await response.end();
    },
    expected: { status: 200, framing: 'chunked', body: 'abc' },
  },
  'an empty write': {
    act: write(''),
    expected: { status: 200, framing: 'chunked', body: '' },
  },
  'a declared length': {
    act: async ({ response }) => {
      response.contentLength = 3;
      await response.write('ab');
      await response.write('c');
    },
    expected: { status: 200, framing: 'length', body: 'abc' },
  },
  text: {
    act: ({ response }) => response.text('grüße €'),
    expected: { status: 200, framing: 'length', body: 'grüße €' },
  },
  'an empty text': {
    act: ({ response }) => response.text(''),
    expected: { status: 200, framing: 'length', body: '' },
  },
  json: {
    act: ({ response }) => response.json({ a: ['b', 1, null] }),
    expected: { status: 200, framing: 'length', body: '{"a":["b",1,null]}' },
  },
  bytes: {
    act: ({ response }) => response.bytes(Buffer.from('abc')),
    expected: { status: 200, framing: 'length', body: 'abc' },
  },
  'bytes of a part': {
    act: ({ response }) => response.bytes(new Uint8Array(Buffer.from('xabcx')).subarray(1, 4)),
    expected: { status: 200, framing: 'length', body: 'abc' },
  },
  'a text with the right length declared': {
    act: ({ response }) => {
      response.contentLength = 3;
      return response.text('abc');
    },
    expected: { status: 200, framing: 'length', body: 'abc' },
  },
  'a text of several lengths in UTF-8': {
    act: ({ response }) => response.text('é'.repeat(30_000)),
    expected: { status: 200, framing: 'length', body: 'é'.repeat(30_000) },
  },
  'lone surrogates': {
    act: ({ response }) => response.text('a\ud800b'),
    expected: { status: 200, framing: 'length', body: 'a\ufffdb' },
  },
  'text at the edge of what is copied': {
    act: ({ response }) => response.text('x'.repeat(16_384)),
    expected: { status: 200, framing: 'length', body: 'x'.repeat(16_384) },
  },
  'bytes at the edge of what is copied': {
    act: ({ response }) => response.bytes(Buffer.alloc(16_383, 'x')),
    expected: { status: 200, framing: 'length', body: 'x'.repeat(16_383) },
  },
  'bytes above the edge of what is copied': {
    act: ({ response }) => response.bytes(Buffer.alloc(16_384, 'x')),
    expected: { status: 200, framing: 'length', body: 'x'.repeat(16_384) },
  },
  'HEAD of a text': {
    request: 'HEAD',
    act: ({ response }) => response.text('abc'),
    expected: { status: 200, framing: 'none', body: '', contentLength: '3' },
  },
  'HEAD of large bytes': {
    request: 'HEAD',
    act: ({ response }) => response.bytes(Buffer.alloc(100_000)),
    expected: { status: 200, framing: 'none', body: '', contentLength: '100000' },
  },
  'HEAD of writes': {
    request: 'HEAD',
    act: write('abc', 'def'),
    expected: { status: 200, framing: 'none', body: '' },
  },
  'HEAD with a declared length': {
    request: 'HEAD',
    act: ({ response }) => {
      response.contentLength = 3;
    },
    expected: { status: 200, framing: 'none', body: '', contentLength: '3' },
  },
  'HEAD with a declared length and fewer bytes': {
    request: 'HEAD',
    act: async ({ response }) => {
      response.contentLength = 3;
      await response.write('a');
    },
    expected: { status: 200, framing: 'none', body: '', contentLength: '3' },
  },
  '204': {
    act: ({ response }) => {
      response.statusCode = 204;
    },
    expected: { status: 204, framing: 'none', body: '' },
  },
  '204 with Content-Length 0': {
    act: ({ response }) => {
      response.statusCode = 204;
      response.contentLength = 0;
    },
    expected: { status: 204, framing: 'none', body: '' },
  },
  '204 with a text': {
    act: ({ response }) => {
      response.statusCode = 204;
      return response.text('abc');
    },
    expected: { status: 204, framing: 'none', body: '' },
  },
  '204 with writes': {
    act: async (context) => {
      context.response.statusCode = 204;
      await write('abc')(context);
    },
    expected: { status: 204, framing: 'none', body: '' },
  },
  '205': {
    act: ({ response }) => {
      response.statusCode = 205;
    },
    expected: { status: 205, framing: 'length', body: '' },
  },
  '205 with a text': {
    act: ({ response }) => {
      response.statusCode = 205;
      return response.text('abc');
    },
    expected: { status: 205, framing: 'length', body: '' },
  },
  '304': {
    act: ({ response }) => {
      response.statusCode = 304;
    },
    expected: { status: 304, framing: 'none', body: '' },
  },
  '304 with a text': {
    act: ({ response }) => {
      response.statusCode = 304;
      return response.text('abc');
    },
    expected: { status: 304, framing: 'none', body: '' },
  },
  '404 with a text': {
    act: ({ response }) => {
      response.statusCode = 404;
      return response.text('gone');
    },
    expected: { status: 404, framing: 'length', body: 'gone', reason: 'Not Found' },
  },
  'a status without a phrase': {
    act: ({ response }) => {
      response.statusCode = 599;
    },
    expected: { status: 599, framing: 'length', body: '', reason: '' },
  },
  'a phrase of its own': {
    act: ({ response }) => {
      response.reasonPhrase = 'All is Well';
      return response.text('abc');
    },
    expected: { status: 200, framing: 'length', body: 'abc', reason: 'All is Well' },
  },
  'an empty phrase': {
    act: ({ response }) => {
      response.reasonPhrase = '';
      return response.text('abc');
    },
    expected: { status: 200, framing: 'length', body: 'abc', reason: '' },
  },
  'a redirection': {
    act: ({ response }) => {
      response.redirect('/elsewhere');
    },
    expected: { status: 302, framing: 'length', body: '' },
  },
  'a failure': {
    act: () => {
      throw new Error('the handler fails');
    },
    expected: { status: 500, framing: 'length', body: '500 Internal Server Error\n' },
  },
  'a failure, later': {
    act: async () => {
      await delay(1);
      throw new Error('the handler fails');
    },
    expected: { status: 500, framing: 'length', body: '500 Internal Server Error\n' },
  },
  'a failure after the head was prepared': {
    act: ({ response }) => {
      response.statusCode = 201;
      response.headers.set('X-Own', 'a');
      response.reasonPhrase = 'Made';
      throw new Error('the handler fails');
    },
    expected: {
      status: 500,
      framing: 'length',
      body: '500 Internal Server Error\n',
      reason: 'Internal Server Error',
    },
  },
  'a declared length and nothing': {
    act: ({ response }) => {
      response.contentLength = 3;
    },
    expected: { status: 500, framing: 'length', body: '500 Internal Server Error\n' },
  },
  'a declared length and another text': {
    act: ({ response }) => {
      response.contentLength = 4;
      return response.text('abc');
    },
    expected: { status: 500, framing: 'length', body: '500 Internal Server Error\n' },
  },
};

for (const [name, { request = 'GET', act, expected }] of Object.entries(ROWS)) {
  test(`${name}: ${String(expected.status)}, ${expected.framing}`, async (t) => {
    const { connect } = await startServer(t, (context) =>
      context.request.path === '/next' ? context.response.text('next') : act(context),
    );
    const client = await connect();
    const answer = await client.request(`${request} / HTTP/1.1\r\nHost: h\r\n\r\n`, request);
    t.is(answer.status, expected.status);
    t.is(answer.framing, expected.framing);
    t.true(answer.text === expected.body, answer.text.slice(0, 100));
    if (expected.reason !== undefined) t.is(answer.reason, expected.reason);
    const length = answer.headers.get('content-length')?.[0];
    const { contentLength } = expected;
    t.is(length, expected.framing === 'length' ? String(answer.body.length) : contentLength);
    t.is(answer.headers.has('transfer-encoding'), expected.framing === 'chunked');
    t.false(answer.headers.has('connection'));
    t.false(answer.headers.has('x-own'));
    const next = await client.request('GET /next HTTP/1.1\r\nHost: h\r\n\r\n');
    t.is(next.text, 'next', 'the connection goes on');
  });
}

/**
 * What ends an answer before its end. `seen` settles when the client has read the beginning: Node's
 * client takes a reset that comes with bytes for an end.
 */
const CUT: Readonly<Record<string, (context: HttpContext, seen: Promise<void>) => unknown>> = {
  'a failure after a write': async ({ response }) => {
    await response.write('abc');
    throw new Error('the handler fails');
  },
  'a failure after a write, later': async ({ response }, seen) => {
    await response.write('abc');
    await seen;
    throw new Error('the handler fails');
  },
  'too few bytes': async ({ response }) => {
    response.contentLength = 5;
    await response.write('abc');
  },
  'too few bytes, later': async ({ response }, seen) => {
    response.contentLength = 5;
    await response.write('abc');
    await seen;
  },
  'too few bytes and an end': async ({ response }, seen) => {
    response.contentLength = 5;
    await response.write('abc');
    await seen;
    await response.end();
  },
  'too many bytes': async ({ response }) => {
    response.contentLength = 5;
    await response.write('abc');
    await response.write('def');
  },
  abort: async (context, seen) => {
    await context.response.write('abc');
    await seen;
    context.abort();
  },
  'abort before the start': (context) => {
    context.abort();
  },
};

for (const [name, act] of Object.entries(CUT)) {
  for (const version of ['1.1', '1.0']) {
    test(`${name} on HTTP/${version}: the client sees that the answer is cut`, async (t) => {
      const seen = deferred();
      const { connect } = await startServer(
        t,
        (context) => act(context, seen.promise) as Promise<void>,
      );
      const client = await connect();
      void client.write(`GET / HTTP/${version}\r\nHost: h\r\n\r\n`);
      void client.change().then(() => {
        seen.resolve();
      });
      t.is(await client.closed, 'reset');
      t.false(client.peek().includes('\r\n0\r\n\r\n'));
    });
  }
}

test('too many bytes are refused with a code, and the answer may end as declared', async (t) => {
  const { once } = await startServer(t, async ({ response }) => {
    response.contentLength = 3;
    await response.write('abc');
    t.throws(() => response.write('d'), { code: 'WH_ERR_CONTENT_LENGTH_EXCEEDED' });
  });
  const answer = await once('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  t.is(answer.text, 'abc');
  t.is(answer.framing, 'length');
});

test('header fields of the application are sent as they were set', async (t) => {
  const { once } = await startServer(t, ({ response }) => {
    response.headers.set('X-One', 'a  b');
    response.headers.append('X-Two', 'a');
    response.headers.append('x-two', 'b');
    response.headers.set('Set-Cookie', ['a=1', 'b=2']);
    response.headers.set('X-Number', 5);
    response.headers.set('X-Empty', '');
    response.headers.set('X-Gone', 'a');
    response.headers.delete('x-gone');
    response.contentType = 'text/css';
    return response.text('a{}');
  });
  const answer = await once('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  t.true(answer.head.includes('\r\nX-One: a  b\r\nX-Two: a\r\nx-two: b\r\nSet-Cookie: a=1\r\n'));
  t.deepEqual(answer.headers.get('set-cookie'), ['a=1', 'b=2']);
  t.deepEqual(answer.headers.get('x-number'), ['5']);
  t.deepEqual(answer.headers.get('x-empty'), ['']);
  t.deepEqual(answer.headers.get('content-type'), ['text/css']);
  t.false(answer.headers.has('x-gone'));
});

test('every content type that is ready-made stands on the wire once', async (t) => {
  const { once } = await startServer(t, ({ request, response }) => {
    switch (request.path) {
      case '/text':
        return response.text('a');
      case '/json':
        return response.json(1);
      case '/html':
        return response.text('a', 'text/html; charset=utf-8');
      case '/bytes':
        return response.bytes(Buffer.from('a'));
      case '/own':
        return response.text('a', 'text/markdown');
      default:
        response.contentType = 'image/png';
        return response.bytes(Buffer.from('a'));
    }
  });
  for (const [path, type] of [
    ['/text', 'text/plain; charset=utf-8'],
    ['/json', 'application/json; charset=utf-8'],
    ['/html', 'text/html; charset=utf-8'],
    ['/bytes', 'application/octet-stream'],
    ['/own', 'text/markdown'],
    ['/set', 'image/png'],
  ] as const) {
    const answer = await once(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
    t.deepEqual(answer.headers.get('content-type'), [type]);
  }
});

test('what runs before the start can still change the head, the last registered first', async (t) => {
  const order: string[] = [];
  for (const later of [false, true]) {
    for (const way of ['text', 'write', 'end', 'nothing'] as const) {
      order.length = 0;
      const { once } = await startServer(t, async ({ response }) => {
        for (const name of ['first', 'second']) {
          response.onStarting(async () => {
            if (later) await delay(2);
            order.push(name);
            response.headers.append('X-Order', name);
            response.statusCode = 201;
          });
        }
        if (way === 'text') await response.text('a');
        else if (way === 'write') await response.write('a');
        else if (way === 'end') await response.end();
      });
      const answer = await once('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      t.is(answer.status, 201, way);
      t.deepEqual(answer.headers.get('x-order'), ['second', 'first'], way);
      t.deepEqual(order, ['second', 'first'], way);
    }
  }
});

test('writes that nobody waits for keep their order behind a slow onStarting', async (t) => {
  const { once } = await startServer(t, ({ response }) => {
    response.onStarting(() => delay(10));
    void response.write('a');
    void response.write('b');
    void response.write('c');
  });
  t.is((await once('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).text, 'abc');
});

test('what runs at the end runs after the answer, the last registered first', async (t) => {
  const order: string[] = [];
  const { once, reported } = await startServer(t, async ({ response }) => {
    response.onCompleted(() => {
      order.push('first');
    });
    response.onCompleted(async () => {
      await delay(1);
      order.push('second');
    });
    await response.text('a');
  });
  t.is((await once('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).text, 'a');
  while (order.length < 2) await delay(1);
  t.deepEqual(order, ['second', 'first']);
  t.deepEqual(reported, []);
});
