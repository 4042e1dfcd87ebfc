/** Trailer fields of both directions (RFC 9110 section 6.5, RFC 9112 section 7.1.2). */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import {
  HttpRequestTrailersFeature,
  HttpResponseTrailersFeature,
} from '../../lib/features/http-features.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import { codeOf } from '../support/errors.js';
import { captureErrors } from '../support/quiet-console.js';
import type { RawClient } from '../support/raw-client.js';
import { deferred } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

captureErrors();

const CHUNKED = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n';

/** Answers with the trailers, once the body is read. */
async function tell({ request, response }: HttpContext): Promise<void> {
  await request.body.bytes();
  await response.json([...request.trailers]);
}

test('trailers of a request are there once its body is read', async (t) => {
  const { connect } = await startServer(t, async ({ request, response, features }) => {
    const feature = features.get(HttpRequestTrailersFeature);
    const before = feature?.available;
    const code = codeOf(() => request.trailers);
    await delay(5); // all of it has come, but nobody has read it
    const received = feature?.available;
    const body = await request.body.text();
    await response.json([
      before,
      code,
      received,
      feature?.available,
      body,
      [...request.trailers],
      request.trailers.get('x-sum'),
      request.headers.has('X-Sum'),
    ]);
  });
  const client = await connect();
  const answer = await client.request(
    `${CHUNKED}3\r\nabc\r\n0\r\nX-Sum: 1\r\nx-sum:\t 2 \r\nEmpty:\r\n\r\n`,
  );
  t.deepEqual(JSON.parse(answer.text), [
    false,
    'WH_ERR_TRAILERS_NOT_AVAILABLE',
    false,
    true,
    'abc',
    [
      ['X-Sum', '1'],
      ['x-sum', '2'],
      ['Empty', ''],
    ],
    '1, 2',
    false,
  ]);
});

test('trailers are the same wherever they are cut', async (t) => {
  const { connect } = await startServer(t, tell);
  const client = await connect();
  const section = '2\r\nab\r\n0\r\nA: grüße €\r\nB: \u{1f985}\r\n\r\n';
  const bytes = Buffer.from(section);
  const expected = [
    ['A', 'grüße €'],
    ['B', '\u{1f985}'],
  ];
  for (let cut = 1; cut < bytes.length; cut += 3) {
    await client.write(CHUNKED);
    await client.write(bytes.subarray(0, cut));
    await delay(1);
    void client.write(bytes.subarray(cut));
    t.deepEqual(JSON.parse((await client.answer()).text), expected, `cut at ${String(cut)}`);
  }
});

test('every way to read makes them available; a body without them has none', async (t) => {
  const READERS: Readonly<Record<string, (context: HttpContext) => Promise<unknown>>> = {
    bytes: ({ request }) => request.body.bytes(),
    text: ({ request }) => request.body.text(),
    json: ({ request }) => request.body.json(),
    iterator: async ({ request }) => {
      for await (const piece of request.body) t.true(piece.length > 0);
    },
    stream: ({ request }) => new Response(request.body.stream() as never).text(),
    readable: async ({ request }) => {
      for await (const piece of request.body.readable()) t.truthy(piece);
    },
  };
  for (const [name, read] of Object.entries(READERS)) {
    const { connect } = await startServer(t, async (context) => {
      await read(context);
      await context.response.json([...context.request.trailers]);
    });
    const client = await connect();
    const whole = await client.request(`${CHUNKED}2\r\n{}\r\n0\r\nA: b\r\n\r\n`);
    t.is(whole.text, '[["A","b"]]', name);
    const none = await client.request(`${CHUNKED}2\r\n{}\r\n0\r\n\r\n`);
    t.deepEqual(JSON.parse(none.text), [], name);
    const length = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}';
    t.deepEqual(JSON.parse((await client.request(length)).text), [], name);
  }
});

test('a request without a body has trailers at once, and none', async (t) => {
  const { once } = await startServer(t, ({ request, response }) =>
    response.json([request.trailers.size, request.trailers.has('X')]),
  );
  t.is((await once('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).text, '[0,false]');
});

test('a body that is left unread, or half-read, gives no trailers', async (t) => {
  const { once } = await startServer(t, async ({ request, response }) => {
    for await (const piece of request.body) {
      t.is(piece.length, 3);
      break;
    }
    await delay(5);
    await response.text(codeOf(() => request.trailers) ?? 'none');
  });
  const pieces = `${CHUNKED}3\r\nabc\r\n`;
  t.is((await once(pieces)).text, 'WH_ERR_TRAILERS_NOT_AVAILABLE');
});

test('fields that may not be trailers are left out', async (t) => {
  const { once } = await startServer(t, tell);
  const forbidden = [
    'Host: evil',
    'Content-Length: 5',
    'Transfer-Encoding: chunked',
    'Authorization: Basic x',
    'cookie: a=b',
    'Content-Type: text/html',
    'Connection: close',
    'TRAILER: X',
    'Expect: 100-continue',
    'If-None-Match: *',
    'Range: bytes=0-1',
  ];
  const lines = [...forbidden, 'X: y', 'ETag: "1"'].map((line) => `${line}\r\n`).join('');
  const answer = await once(`${CHUNKED}0\r\n${lines}\r\n`);
  t.deepEqual(JSON.parse(answer.text), [
    ['X', 'y'],
    ['ETag', '"1"'],
  ]);
});

test('trailers of a request cannot be changed, and not be read after it', async (t) => {
  const kept = deferred<Iterable<unknown> & { get(name: string): unknown }>();
  const { once } = await startServer(t, async ({ request, response }) => {
    await request.body.bytes();
    const { trailers } = request;
    kept.resolve(trailers);
    await response.json([
      codeOf(() => {
        trailers.set('X', 'z');
      }),
      codeOf(() => {
        trailers.append('Y', 'z');
      }),
      codeOf(() => trailers.delete('X')),
      trailers.get('X'),
    ]);
  });
  const answer = await once(`${CHUNKED}0\r\nX: y\r\n\r\n`);
  const code = 'WH_ERR_HEADERS_READ_ONLY';
  t.deepEqual(JSON.parse(answer.text), [code, code, code, 'y']);
  const trailers = await kept.promise;
  await delay(1);
  t.is(
    codeOf(() => trailers.get('X')),
    'WH_ERR_CONTEXT_DISPOSED',
  );
});

test('bad trailers are refused, whatever of the body was read', async (t) => {
  const { connect } = await startServer(t, tell, { limits: { maxRequestHeaderCount: 3 } });
  for (const [section, status] of [
    ['X: a\x00b\r\n\r\n', 400],
    ['X: a\x7fb\r\n\r\n', 400],
    ['X\x00: a\r\n\r\n', 400],
    ['X : a\r\n\r\n', 400],
    [': a\r\n\r\n', 400],
    ['no colon\r\n\r\n', 400],
    ['X: a\r\n b\r\n\r\n', 400],
    ['X: a\nY: b\r\n\r\n', 400],
    ['X: a\rY: b\r\n\r\n', 400],
    ['X: \xff\xfe\r\n\r\n', 400],
    ['X: \xc3\r\n\r\n', 400],
    ['A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n', 431],
    [`X: ${'y'.repeat(32_768)}\r\n\r\n`, 431],
  ] as const) {
    const client = await connect();
    void client.write(`${CHUNKED}3\r\nabc\r\n0\r\n`);
    await delay(1);
    void client.write(section);
    const answer = await client.answer();
    t.is(answer.status, status, JSON.stringify(section.slice(0, 40)));
    t.deepEqual(answer.headers.get('connection'), ['close']);
    t.is((await client.rest()).length, 0);
  }
});

test('trailers stay with their requests, whatever is pipelined', async (t) => {
  const { connect } = await startServer(t, async (context) => {
    await delay(Math.random() * 5);
    await tell(context);
  });
  const client = await connect();
  let bytes = '';
  for (let i = 0; i < 20; i++) bytes += `${CHUNKED}1\r\nx\r\n0\r\nN: ${String(i)}\r\n\r\n`;
  void client.write(bytes);
  for (let i = 0; i < 20; i++) {
    t.deepEqual(JSON.parse((await client.answer()).text), [['N', String(i)]]);
  }
});

// --- answers ---

const GET = 'GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n';

/** The next answer's bytes, up to a text that ends them. */
async function upTo(client: RawClient, end: string): Promise<string> {
  while (!client.peek().includes(end)) await client.change();
  const length = client.peek().indexOf(end) + end.length;
  return (await client.bytes(length)).toString('latin1');
}

test('an answer in pieces has its trailers behind the last chunk', async (t) => {
  const { connect } = await startServer(t, async ({ response }) => {
    response.trailers.set('X-Sum', '1');
    await response.write('abc');
    response.trailers.set('X-Late', ['a', 'b']);
  });
  const client = await connect();
  for (let i = 0; i < 3; i++) {
    const wire = await (client.write(GET), upTo(client, 'X-Late: b\r\n\r\n'));
    t.true(wire.includes('\r\nTransfer-Encoding: chunked\r\n'), wire);
    t.true(wire.includes('\r\nTrailer: X-Sum\r\n'), 'those set before the start are announced');
    t.true(
      wire.endsWith('\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Late: a\r\nX-Late: b\r\n\r\n'),
      wire,
    );
  }
});

const WAYS: Readonly<Record<string, (context: HttpContext) => void | Promise<void>>> = {
  text: ({ response }) => response.text('abc'),
  'text, later': async ({ response }) => {
    await delay(1);
    await response.text('abc');
  },
  bytes: ({ response }) => response.bytes(Buffer.from('abc'), 'text/plain; charset=utf-8'),
  'text behind onStarting': ({ response }) => {
    response.onStarting(() => delay(1));
    return response.text('abc');
  },
  'write and end': async ({ response }) => {
    response.contentType = 'text/plain; charset=utf-8';
    await response.write('abc');
    await response.end();
  },
};

for (const [name, answer] of Object.entries(WAYS)) {
  test(`an answer by ${name} is chunked for its trailers`, async (t) => {
    const { connect } = await startServer(t, (context) => {
      context.response.trailers.set('X-Sum', '1');
      return answer(context);
    });
    const client = await connect();
    void client.write(GET);
    const wire = await upTo(client, 'X-Sum: 1\r\n\r\n');
    t.false(wire.includes('Content-Length'), wire);
    t.is(wire.split('Content-Type: text/plain; charset=utf-8\r\n').length, 2, wire);
    t.true(wire.endsWith('\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n'), wire);
    // To others it is an answer as any.
    const plain = await client.request('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    t.is(plain.text, 'abc');
    t.false(plain.headers.has('trailer'));
    t.is(plain.framing, name === 'write and end' ? 'chunked' : 'length');
  });
}

test('an answer without a body has trailers too', async (t) => {
  const { connect } = await startServer(t, ({ response }) => {
    response.trailers.set('X-Sum', '1');
  });
  const client = await connect();
  void client.write(GET);
  t.true((await upTo(client, 'X-Sum: 1\r\n\r\n')).endsWith('\r\n\r\n0\r\nX-Sum: 1\r\n\r\n'));
});

test('TE says whether trailers are wanted', async (t) => {
  const { connect } = await startServer(t, ({ response }) => {
    response.trailers.set('X-Sum', '1');
  });
  for (const [te, wanted] of [
    ['TE: trailers', true],
    ['TE: Trailers', true],
    ['TE: gzip;q=0.5, trailers', true],
    ['TE: trailers,gzip', true],
    ['TE: gzip\r\nTE: trailers', true],
    ['te:trailers', true],
    ['TE: xtrailers', false],
    ['TE: trailers-x', false],
    ['TE:', false],
    ['X-TE: trailers', false],
  ] as const) {
    const client = await connect();
    void client.write(`GET / HTTP/1.1\r\nHost: h\r\n${te}\r\nConnection: close\r\n\r\n`);
    t.is((await client.rest()).includes('0\r\nX-Sum: 1\r\n\r\n'), wanted, te);
  }
});

test('trailers are dropped where there is no place for them', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    response.trailers.set('X-Sum', '1');
    switch (request.path) {
      case '/length':
        response.contentLength = 3;
        await response.write('abc');
        break;
      case '/204':
        response.statusCode = 204;
        break;
      case '/304':
        response.statusCode = 304;
        await response.write('abc');
        break;
      default:
        await response.text('abc');
    }
  });
  for (const line of [
    'GET /length HTTP/1.1',
    'GET /204 HTTP/1.1',
    'GET /304 HTTP/1.1',
    'HEAD / HTTP/1.1',
    'GET / HTTP/1.0',
  ]) {
    const client = await connect();
    const request = `${line}\r\nHost: h\r\nTE: trailers\r\nConnection: close\r\n\r\n`;
    const answer = await client.request(request, line.slice(0, 4).trim());
    t.false(answer.head.includes('X-Sum'), line);
    t.false(answer.text.includes('X-Sum'), line);
    t.is((await client.rest()).length, 0, line);
  }
});

test('an announcement of the application stays as it is', async (t) => {
  const { connect } = await startServer(t, async ({ response }) => {
    response.headers.set('Trailer', 'X-Sum, X-Other');
    response.trailers.set('X-Sum', '1');
    await response.text('abc');
  });
  const client = await connect();
  void client.write(GET);
  const wire = await upTo(client, 'X-Sum: 1\r\n\r\n');
  t.is(wire.match(/^Trailer: .*$/gm)?.join(), 'Trailer: X-Sum, X-Other');
});

test('pipelined answers keep their trailers', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    await delay(Math.random() * 5);
    response.trailers.set('N', request.path);
    await response.write('x');
  });
  const client = await connect();
  let requests = '';
  for (let i = 0; i < 20; i++) {
    requests += `GET /${String(i)} HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n`;
  }
  void client.write(requests);
  for (let i = 0; i < 20; i++) {
    const wire = await upTo(client, `0\r\nN: /${String(i)}\r\n\r\n`);
    t.is(wire.split('HTTP/1.1 200 OK').length, 2);
  }
});

test('what cannot be a trailer is refused with a code', async (t) => {
  const { once } = await startServer(t, async ({ response, features }) => {
    const { trailers } = response;
    t.is(features.get(HttpResponseTrailersFeature)?.trailers, trailers);
    const codes: unknown[] = [];
    for (const name of ['Content-Length', 'transfer-encoding', 'Host', 'Set-Cookie', 'Trailer']) {
      codes.push(
        codeOf(() => {
          trailers.set(name, '1');
        }),
        codeOf(() => {
          trailers.append(name, '1');
        }),
      );
    }
    t.deepEqual([...new Set(codes)], ['WH_ERR_FORBIDDEN_TRAILER']);
    t.is(
      codeOf(() => {
        trailers.set('X', 'a\r\nInjected: b');
      }),
      'WH_ERR_INVALID_HEADER_VALUE',
    );
    t.is(
      codeOf(() => {
        trailers.set('X\r\nInjected', 'a');
      }),
      'WH_ERR_INVALID_HEADER_NAME',
    );
    t.is(
      codeOf(() => {
        trailers.set(1 as never, 'a');
      }),
      'WH_ERR_INVALID_ARGUMENT',
    );
    t.is(trailers.size, 0);
    trailers.set('X', 'y');
    await response.write('a');
    await response.end();
    t.is(
      codeOf(() => {
        trailers.set('X', 'z');
      }),
      'WH_ERR_RESPONSE_ENDED',
    );
  });
  const answer = await once('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  t.is(answer.text, 'a');
});

test('a failure before the start takes the trailers along', async (t) => {
  const { connect } = await startServer(t, ({ response }) => {
    response.trailers.set('X-Sum', '1');
    throw new Error('the handler fails');
  });
  const client = await connect();
  const answer = await client.request(GET);
  t.is(answer.status, 500);
  t.false(answer.headers.has('trailer'));
});

test('trailers that are too large cut the answer', async (t) => {
  const { connect } = await startServer(t, async ({ response }) => {
    for (let i = 0; i < 20; i++) response.trailers.append('X', 'y'.repeat(5000));
    await response.write('abc');
  });
  const client = await connect();
  void client.write(GET);
  t.false((await client.rest()).includes('0\r\n\r\n'));
});
