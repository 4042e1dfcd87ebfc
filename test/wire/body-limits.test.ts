/** How large a body may be: the server's limit, and the one of a single request (kestrel.md A1, B1). */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { HttpMaxRequestBodySizeFeature } from '../../lib/features/http-features.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import { codeOf } from '../support/errors.js';
import { captureErrors } from '../support/quiet-console.js';
import { deferred, within } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

captureErrors();

const LIMIT = { limits: { maxRequestBodySize: 10 } };

function post(fields: string, body = ''): string {
  return `POST / HTTP/1.1\r\nHost: h\r\n${fields}\r\n\r\n${body}`;
}

function chunk(data: string): string {
  return `${data.length.toString(16)}\r\n${data}\r\n`;
}

/** A body of so many bytes in each of the ways in which it can come. */
function requestsOf(body: string): Readonly<Record<string, readonly string[]>> {
  const { length } = body;
  const chunked = post('Transfer-Encoding: chunked');
  const half = length >> 1;
  return {
    'with the head': [post(`Content-Length: ${String(length)}`, body)],
    'behind the head': [post(`Content-Length: ${String(length)}`), body],
    'in halves': [post(`Content-Length: ${String(length)}`, body.slice(0, half)), body.slice(half)],
    'in one chunk': [`${chunked}${chunk(body)}0\r\n\r\n`],
    'in two chunks': [`${chunked}${chunk(body.slice(0, half))}${chunk(body.slice(half))}0\r\n\r\n`],
    'in two chunks, apart': [
      `${chunked}${chunk(body.slice(0, half))}`,
      `${chunk(body.slice(half))}0\r\n\r\n`,
    ],
    'in chunks behind the head': [chunked, `${chunk(body)}0\r\n\r\n`],
  };
}

function setLimit({ features }: HttpContext, most: number | null): void {
  const feature = features.get(HttpMaxRequestBodySizeFeature);
  if (feature === undefined) throw new Error('no HttpMaxRequestBodySizeFeature');
  feature.maxRequestBodySize = most;
}

type Reader = (context: HttpContext) => Promise<string>;

const READERS: Readonly<Record<string, Reader>> = {
  text: ({ request }) => request.body.text(),
  iterator: async ({ request }) => {
    let text = '';
    for await (const piece of request.body) text += Buffer.from(piece).toString();
    return text;
  },
  stream: ({ request }) => new Response(request.body.stream() as never).text(),
  readable: async ({ request }) => {
    let text = '';
    for await (const piece of request.body.readable()) text += String(piece);
    return text;
  },
};

for (const [name, read] of Object.entries(READERS)) {
  for (const [when, pause] of [
    ['at once', undefined],
    ['later', 3],
  ] as const) {
    test(`by ${name}, ${when}: what is within the limit passes, what is not is answered 413`, async (t) => {
      const seen: unknown[] = [];
      const { connect, reported } = await startServer(
        t,
        async (context) => {
          if (pause !== undefined) await delay(pause);
          try {
            await context.response.text(await read(context));
          } catch (error) {
            seen.push(error);
            throw error;
          }
        },
        LIMIT,
      );
      for (const [way, writes] of Object.entries(requestsOf('0123456789'))) {
        const client = await connect();
        for (const bytes of writes) {
          await client.write(bytes);
          await delay(2);
        }
        t.is((await client.answer()).text, '0123456789', way);
      }
      for (const [way, writes] of Object.entries(requestsOf('0123456789a'))) {
        const client = await connect();
        for (const bytes of writes) {
          await client.write(bytes);
          await delay(2);
        }
        const answer = await client.answer();
        t.is(answer.status, 413, way);
        t.deepEqual(answer.headers.get('connection'), ['close'], way);
        t.is((await client.rest()).length, 0, way);
        t.is(await client.closed, 'end', way);
        const error = seen.pop() as { name: string; code: string; statusCode: number };
        t.is(error.name, 'BadHttpRequestError', way);
        t.is(error.code, 'WH_ERR_BODY_TOO_LARGE', way);
        t.is(error.statusCode, 413, way);
      }
      t.deepEqual(seen, []);
      t.deepEqual(reported, [], 'a bad request is no failure of the handler');
    });

    test(`by ${name}, ${when}: an own limit holds instead of the server's`, async (t) => {
      const limits: Readonly<Record<string, number | null>> = {
        '/none': null,
        '/20': 20,
        '/infinite': Infinity,
        '/5': 5,
        '/0': 0,
      };
      const { connect } = await startServer(
        t,
        async (context) => {
          if (pause !== undefined) await delay(pause);
          setLimit(context, limits[context.request.path]);
          if (pause !== undefined) await delay(pause);
          await context.response.text(await read(context));
        },
        LIMIT,
      );
      for (const [path, most] of Object.entries(limits)) {
        for (const length of [5, 6, 10, 20, 21]) {
          const body = 'x'.repeat(length);
          for (const [way, writes] of Object.entries(requestsOf(body))) {
            const client = await connect();
            for (const [i, bytes] of writes.entries()) {
              await client.write(i === 0 ? bytes.replace(' / ', ` ${path} `) : bytes);
              if (i + 1 < writes.length) await delay(1);
            }
            const answer = await client.answer();
            const fits = most === null || length <= most;
            t.is(answer.status, fits ? 200 : 413, `${String(length)} to ${path} ${way}`);
            if (fits) t.is(answer.text, body);
            client.destroy();
          }
        }
      }
    });
  }
}

test('an application that swallows the error cannot answer 200 for it', async (t) => {
  const { once, metrics } = await startServer(
    t,
    async ({ request, response }) => {
      await request.body.bytes().catch(() => undefined);
      response.statusCode = 200;
      await response.text('all is well');
    },
    LIMIT,
  );
  for (const [way, [first]] of Object.entries(requestsOf('0123456789a'))) {
    if (way === 'in two chunks, apart' || way === 'in chunks behind the head') continue;
    t.is((await once(first)).status, 413, way);
  }
  t.true(metrics().refused >= 5);
});

test('an application that does not read answers as it likes, and the connection ends undrained', async (t) => {
  for (const when of ['at once', 'later']) {
    const { connect, metrics } = await startServer(
      t,
      async ({ response }) => {
        if (when === 'later') await delay(5);
        response.statusCode = 403;
        await response.text('not you');
      },
      LIMIT,
    );
    for (const [way, [first]] of Object.entries(requestsOf('0123456789a'))) {
      // That it exceeds the limit is not known yet.
      if (way === 'in two chunks, apart' || way === 'in chunks behind the head') continue;
      const client = await connect();
      const before = metrics().requests;
      void client.write(first + post('Content-Length: 0'));
      const answer = await client.answer();
      t.is(answer.status, 403, way);
      t.is(answer.text, 'not you');
      t.deepEqual(answer.headers.get('connection'), ['close'], way);
      t.is((await within(client.rest(), 'the end', 2000)).length, 0, way);
      t.is(await client.closed, 'end', way);
      t.is(metrics().requests, before + 1, 'nothing behind it is served');
      client.destroy();
    }
  }
});

test('100 Continue is not sent for what will be refused', async (t) => {
  const { connect } = await startServer(
    t,
    async ({ request, response }) => {
      await response.text(await request.body.text());
    },
    LIMIT,
  );
  const client = await connect();
  const answer = await client.request(post('Expect: 100-continue\r\nContent-Length: 11'));
  t.is(answer.status, 413);
  t.is(await client.closed, 'end');
});

test('100 Continue is sent where the limit was raised', async (t) => {
  const { connect } = await startServer(
    t,
    async (context) => {
      await delay(2);
      setLimit(context, 11);
      await context.response.text(await context.request.body.text());
    },
    LIMIT,
  );
  const client = await connect();
  t.is((await client.request(post('Expect: 100-continue\r\nContent-Length: 11'))).status, 100);
  t.is((await client.request('0123456789a')).text, '0123456789a');
});

test('what waits for the limit is bounded: the sender stops', async (t) => {
  let gate = deferred();
  const { connect, metrics } = await startServer(
    t,
    async (context) => {
      await gate.promise;
      setLimit(context, null);
      let length = 0;
      for await (const piece of context.request.body) length += piece.length;
      await context.response.text(String(length));
    },
    LIMIT,
  );
  for (const framing of ['Content-Length: 50000000', 'Transfer-Encoding: chunked']) {
    gate = deferred();
    const client = await connect();
    const chunked = framing.startsWith('T');
    void client.write(post(framing, chunked ? '2faf080\r\n' : ''));
    const before = metrics().bytesReceived;
    void client.write(Buffer.alloc(50_000_000));
    if (chunked) void client.write('\r\n0\r\n\r\n');
    await delay(50);
    t.true(metrics().bytesReceived - before < 1_000_000, 'the server has what came with few reads');
    t.true(client.socket.writableLength > 0, 'the sender waits');
    gate.resolve();
    t.is((await client.answer()).text, '50000000');
  }
});

test('half-closing behind a body that is too large changes nothing', async (t) => {
  const { connect } = await startServer(
    t,
    async (context) => {
      await delay(5);
      if (context.request.path === '/raised') setLimit(context, 11);
      if (context.request.path !== '/unread') await context.request.body.text();
      await context.response.text('a');
    },
    LIMIT,
  );
  for (const [path, status] of [
    ['/raised', 200],
    ['/unread', 200],
    ['/', 413],
  ] as const) {
    for (const [way, writes] of Object.entries(requestsOf('0123456789a'))) {
      const client = await connect();
      void client.write(writes.join('').replace(' / ', ` ${path} `));
      client.halfClose();
      t.is((await client.answer()).status, status, `${path} ${way}`);
      t.is(await client.closed, 'end');
    }
  }
});

test('the limit can be asked for, and set until the body is read', async (t) => {
  const { once } = await startServer(
    t,
    async (context) => {
      const { request, response, features } = context;
      const feature = features.get(HttpMaxRequestBodySizeFeature);
      if (feature === undefined) throw new Error('missing');
      t.is(features.get(HttpMaxRequestBodySizeFeature), feature);
      t.is(feature.maxRequestBodySize, 10);
      t.false(feature.isReadOnly);
      for (const [value, code] of [
        [-1, 'WH_ERR_INVALID_ARGUMENT'],
        [NaN, 'WH_ERR_INVALID_ARGUMENT'],
        [1.5, 'WH_ERR_INVALID_ARGUMENT'],
        [-Infinity, 'WH_ERR_INVALID_ARGUMENT'],
        [2 ** 53, 'WH_ERR_INVALID_ARGUMENT'],
        ['5', 'WH_ERR_INVALID_ARGUMENT'],
        [undefined, 'WH_ERR_INVALID_ARGUMENT'],
        [5n, 'WH_ERR_INVALID_ARGUMENT'],
      ] as const) {
        t.is(
          codeOf(() => {
            feature.maxRequestBodySize = value as never;
          }),
          code,
          String(value),
        );
      }
      t.throws(
        () => {
          feature.maxRequestBodySize = -1;
        },
        { instanceOf: RangeError, message: /maxRequestBodySize.*-1/ },
      );
      t.throws(
        () => {
          feature.maxRequestBodySize = '5' as never;
        },
        { instanceOf: TypeError, message: /maxRequestBodySize/ },
      );
      t.is(feature.maxRequestBodySize, 10);
      feature.maxRequestBodySize = 2 ** 53 - 1;
      feature.maxRequestBodySize = 100;
      t.is(feature.maxRequestBodySize, 100);
      const reading = request.body.text();
      t.true(feature.isReadOnly);
      t.is(
        codeOf(() => {
          feature.maxRequestBodySize = 5;
        }),
        'WH_ERR_BODY_LIMIT_READ_ONLY',
      );
      t.is(feature.maxRequestBodySize, 100);
      await response.text(await reading);
    },
    LIMIT,
  );
  const body = 'x'.repeat(60);
  t.is((await once(post('Content-Length: 60', body))).text, body);
  t.is((await once(post('Content-Length: 3', 'abc'))).text, 'abc');
  t.is((await once(post('Content-Length: 0'))).text, '');
});

test('a server without a limit says so', async (t) => {
  const { once } = await startServer(
    t,
    ({ features, response }) =>
      response.json(features.get(HttpMaxRequestBodySizeFeature)?.maxRequestBodySize),
    { limits: { maxRequestBodySize: null } },
  );
  t.is((await once('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).text, 'null');
  const { once: ask } = await startServer(t, ({ features, response }) =>
    response.json(features.get(HttpMaxRequestBodySizeFeature)?.maxRequestBodySize),
  );
  t.is((await ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).text, '30000000');
  const { once: large } = await startServer(
    t,
    ({ features, response }) =>
      response.json(features.get(HttpMaxRequestBodySizeFeature)?.maxRequestBodySize),
    { limits: { maxRequestBodySize: 2 ** 40 + 1 } },
  );
  t.is((await large('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).text, String(2 ** 40 + 1));
});

test('no memory is taken for a length that is only said', async (t) => {
  const { once } = await startServer(
    t,
    async ({ request, response }) => {
      await response.text(await request.body.text());
    },
    { limits: { maxRequestBodySize: 1000 } },
  );
  const length = '9223372036854775807';
  t.is((await once(post(`Content-Length: ${length}`, 'abc'))).status, 413);
});

test('an answer that has begun is cut short by a body that is too large', async (t) => {
  const { connect } = await startServer(
    t,
    async ({ request, response }) => {
      await response.write('begin ');
      await request.body.bytes().catch(() => undefined);
      await response.write('end');
    },
    LIMIT,
  );
  const client = await connect();
  void client.write(post('Content-Length: 11'));
  t.is(await client.closed, 'reset');
  t.false(client.peek().includes('0\r\n\r\n'));
});
