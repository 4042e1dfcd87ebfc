import test from 'ava';
import { FeatureCollection } from '../../lib/features/feature-collection.js';
import { HttpResponseBodyFeature, HttpResponseFeature } from '../../lib/features/http-features.js';
import { WindhoverError } from '../../lib/http/errors.js';
import { HeaderMap } from '../../lib/http/header-map.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import { HttpResponse } from '../../lib/http/http-response.js';
import type { RequestDelegate } from '../../lib/server/server.js';
import { createApplication } from '../../lib/server/server.js';
import { coded, throwsEach } from '../support/errors.js';
import type { MemoryResponse } from '../support/memory-server.js';
import { startMemoryServer } from '../support/memory-server.js';

/** The answer of a handler; its failures fail the test. */
async function answer(delegate: RequestDelegate): Promise<MemoryResponse> {
  const failures: unknown[] = [];
  const server = await startMemoryServer(
    createApplication(delegate, { onError: (error) => failures.push(error) }),
  );
  const response = await server.request();
  if (failures.length > 0) throw failures[0];
  return response;
}

test('answers 200 without a body if the handler does nothing', async (t) => {
  const response = await answer(() => undefined);
  t.like(response, { statusCode: 200, text: '', complete: true, sync: true, error: undefined });
});

test('text, json and bytes answer with type and length, and promise nothing', async (t) => {
  const cases: [(context: HttpContext) => void | Promise<void>, string, string][] = [
    [(c) => c.response.text('é'), 'text/plain; charset=utf-8', 'é'],
    [(c) => c.response.text('<p>', 'text/html'), 'text/html', '<p>'],
    [(c) => c.response.json({ a: [1] }), 'application/json; charset=utf-8', '{"a":[1]}'],
    [(c) => c.response.json(null), 'application/json; charset=utf-8', 'null'],
    [(c) => c.response.bytes(Buffer.from('b')), 'application/octet-stream', 'b'],
    [(c) => c.response.bytes(new Uint8Array([99]), 'image/x'), 'image/x', 'c'],
    [(c) => c.response.text(''), 'text/plain; charset=utf-8', ''],
  ];
  for (const [delegate, type, text] of cases) {
    const response = await answer(delegate);
    t.is(response.headers.get('Content-Type'), type);
    t.is(response.headers.get('Content-Length'), String(Buffer.byteLength(text)));
    t.like(response, { text, complete: true, sync: true });
  }
});

test('a content type set before stays, unless the call names another', async (t) => {
  const typeOf = async (send: (response: HttpResponse) => unknown): Promise<string | undefined> =>
    (
      await answer(({ response }) => {
        response.contentType = 'text/csv';
        send(response);
      })
    ).headers.get('content-type');
  t.is(await typeOf((response) => response.text('a')), 'text/csv');
  t.is(await typeOf((response) => response.json(1)), 'text/csv');
  t.is(await typeOf((response) => response.text('a', 'text/html')), 'text/html');
});

test('uses the quick way of a server that has one, with the same result', (t) => {
  const calls: [unknown, string | undefined][] = [];
  const features = new FeatureCollection();
  features.set(HttpResponseBodyFeature, {
    start: () => void t.fail(),
    write: () => void t.fail(),
    complete: () => void t.fail(),
    send: (body, contentType) => void calls.push([body, contentType]),
  });
  const bytes = new Uint8Array(1);
  t.is(new HttpResponse(features).text('a'), undefined);
  void new HttpResponse(features).json({});
  void new HttpResponse(features).bytes(bytes);
  t.deepEqual(calls, [
    ['a', 'text/plain; charset=utf-8'],
    ['{}', 'application/json; charset=utf-8'],
    [bytes, 'application/octet-stream'],
  ]);
});

test('refuses bodies and content types of the wrong kind', async (t) => {
  await answer(({ response }) => {
    throwsEach(t, 'WH_ERR_INVALID_ARGUMENT', {
      text: () => response.text(1 as never),
      'text of nothing': () => response.text(undefined as never),
      'text of bytes': () => response.text(new Uint8Array(1) as never),
      bytes: () => response.bytes('a' as never),
      'bytes of an array': () => response.bytes([1] as never),
      write: () => response.write(1 as never),
      'write of nothing': () => response.write(undefined as never),
      'content type': () => response.text('a', 1 as never),
    });
    t.throws(
      () => response.text('a', 'text/html\r\nX: y'),
      coded('WH_ERR_INVALID_HEADER_VALUE', TypeError),
    );
    t.false(response.hasStarted);
  });
});

test('refuses values that have no JSON', async (t) => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  await answer(({ response }) => {
    const values = [undefined, () => 1, Symbol('x'), circle, 1n];
    for (const value of values) {
      t.throws(() => response.json(value), coded('WH_ERR_NOT_SERIALIZABLE', TypeError));
    }
    t.false(response.hasStarted);
  });
});

test('takes the statuses 200 to 599', async (t) => {
  await answer(({ response }) => {
    for (const status of [0, 99, 100, 199, 600, 1000, -1, 200.5, NaN, Infinity, '200', null, {}]) {
      t.throws(
        () => (response.statusCode = status as number),
        coded('WH_ERR_INVALID_STATUS', RangeError),
      );
    }
    t.is(response.statusCode, 200);
    for (const status of [200, 204, 404, 599]) response.statusCode = status;
    t.is(response.statusCode, 599);
  });
});

test('takes reasons of visible ASCII, spaces and TABs', async (t) => {
  const response = await answer(({ response }) => {
    for (const reason of ['a\r\nb: c', 'a\nb', 'a\0', 'é', '\x7f', 1, null, {}]) {
      t.throws(
        () => (response.reasonPhrase = reason as string),
        coded('WH_ERR_INVALID_REASON_PHRASE', TypeError),
      );
    }
    response.reasonPhrase = 'All\tis well';
  });
  t.is(response.reasonPhrase, 'All\tis well');
});

test('Content-Type and Content-Length can be set, read and removed', async (t) => {
  await answer(({ response }) => {
    t.is(response.contentType, undefined);
    t.is(response.contentLength, undefined);
    response.contentType = 'a/b';
    response.contentLength = 12;
    t.is(response.headers.get('content-length'), '12');
    t.is(response.contentLength, 12);
    response.contentType = undefined;
    response.contentLength = undefined;
    t.is(response.headers.size, 0);
    for (const length of [-1, 1.5, NaN, 2 ** 53, '1', null]) {
      t.throws(
        () => (response.contentLength = length as number),
        coded('WH_ERR_INVALID_CONTENT_LENGTH', RangeError),
      );
    }
    t.throws(
      () => (response.contentType = 'a\nb'),
      coded('WH_ERR_INVALID_HEADER_VALUE', TypeError),
    );
  });
});

test('streams pieces', async (t) => {
  const response = await answer(async ({ response }) => {
    await response.write('a');
    t.true(response.hasStarted);
    await response.write(new Uint8Array([98]));
    await response.end();
  });
  t.deepEqual(response.chunks.map(String), ['a', 'b']);
  t.true(response.complete);
});

test('waits for a slow client where text is sent by parts', async (t) => {
  const order: string[] = [];
  let makeRoom: () => void = () => undefined;
  const room = new Promise<void>((resolve) => (makeRoom = resolve));
  const features = new FeatureCollection();
  features.set(HttpResponseFeature, {
    statusCode: 200,
    reasonPhrase: undefined,
    hasStarted: false,
    headers: new HeaderMap(),
    onStarting: () => undefined,
    onCompleted: () => undefined,
  });
  features.set(HttpResponseBodyFeature, {
    start: () => undefined,
    write: () => {
      order.push('write');
      return room;
    },
    complete: () => void order.push('complete'),
  });
  const sent = new HttpResponse(features).text('a');
  t.deepEqual(order, ['write']);
  makeRoom();
  await sent;
  t.deepEqual(order, ['write', 'complete']);
});

test('once started the head can no longer change', async (t) => {
  await answer(async ({ response }) => {
    await response.write('a');
    throwsEach(t, 'WH_ERR_RESPONSE_STARTED', {
      status: () => (response.statusCode = 500),
      reason: () => (response.reasonPhrase = 'x'),
      header: () => response.headers.set('X', '1'),
      'removed header': () => response.headers.delete('X'),
      type: () => (response.contentType = 'x/y'),
      length: () => (response.contentLength = 1),
      redirect: () => response.redirect('/'),
      text: () => response.text('b'),
      json: () => response.json({}),
      bytes: () => response.bytes(new Uint8Array(1)),
      onStarting: () => response.onStarting(() => undefined),
    });
    t.throws(() => (response.statusCode = 500), coded('WH_ERR_RESPONSE_STARTED', WindhoverError));
  });
});

test('once ended nothing can be sent, and it cannot be ended again', async (t) => {
  const response = await answer(({ response }) => {
    void response.text('whole');
    throwsEach(t, 'WH_ERR_RESPONSE_ENDED', {
      write: () => response.write('more'),
      end: () => response.end(),
    });
    t.throws(() => response.text('again'));
  });
  t.is(response.text, 'whole');
});

test('redirects', async (t) => {
  const locations: [string, string][] = [
    ['/next?a=b&c#d', '/next?a=b&c#d'],
    ['https://example.com/é \u{1f985}', 'https://example.com/%C3%A9%20%F0%9F%A6%85'],
    ['/done%20', '/done%20'],
    ['/a\x00\x7f', '/a%00%7F'],
  ];
  for (const [url, location] of locations) {
    const response = await answer(({ response }) => response.redirect(url));
    t.is(response.statusCode, 302);
    t.is(response.headers.get('Location'), location);
  }
  for (const status of [301, 303, 307, 308]) {
    t.is((await answer(({ response }) => response.redirect('/', status))).statusCode, status);
  }
  await answer(({ response }) => {
    t.throws(() => response.redirect('/', 200), coded('WH_ERR_INVALID_STATUS', RangeError));
    t.throws(() => response.redirect('/', 304), coded('WH_ERR_INVALID_STATUS', RangeError));
    t.throws(() => response.redirect(1 as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
    t.throws(() => response.redirect('/\r\nX: y'), coded('WH_ERR_INVALID_HEADER_VALUE', TypeError));
    t.is(response.statusCode, 200);
    t.is(response.headers.size, 0);
  });
});

test('onStarting can still change the head, the last registered first', async (t) => {
  const order: number[] = [];
  const response = await answer(({ response }) => {
    response.onStarting(() => void order.push(1));
    response.onStarting(() => {
      order.push(2);
      response.headers.set('X', 'late');
    });
    void response.text('a');
  });
  t.deepEqual(order, [2, 1]);
  t.is(response.headers.get('X'), 'late');
});

test('onCompleted runs when the request is over, with the context still usable', async (t) => {
  const order: unknown[] = [];
  await answer(({ request, response }) => {
    response.onCompleted(() => void order.push(request.path));
    response.onCompleted(() => void order.push(response.statusCode));
    void response.text('a');
    order.push('handler');
  });
  t.deepEqual(order, ['handler', 200, '/']);
});

test('callbacks must be functions', async (t) => {
  await answer(({ response }) => {
    t.throws(() => response.onStarting(1 as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
    t.throws(() => response.onCompleted({} as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  });
});

test('a body feature that middleware replaced gets what follows', async (t) => {
  const shouted: string[] = [];
  const response = await answer(async (context) => {
    await context.response.write('quiet ');
    const inner = context.features.get(HttpResponseBodyFeature) as HttpResponseBodyFeature;
    context.features.set(HttpResponseBodyFeature, {
      start: () => inner.start(),
      complete: () => inner.complete(),
      write: (data) => {
        shouted.push(String(data));
        return inner.write(String(data).toUpperCase());
      },
    });
    await context.response.write('loud');
    t.is(context.response.statusCode, 200);
  });
  t.deepEqual(shouted, ['loud']);
  t.is(response.text, 'quiet LOUD');
});

test('a server without body feature is named in the error', (t) => {
  const response = new HttpResponse(new FeatureCollection());
  t.throws(() => response.write('a'), {
    code: 'WH_ERR_FEATURE_MISSING',
    message: /HttpResponseBodyFeature/,
  });
  t.throws(() => response.statusCode, {
    code: 'WH_ERR_FEATURE_MISSING',
    message: /HttpResponseFeature/,
  });
});
