/** What applications do wrong within a request: a coded error each time, and the server goes on. */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { createFeatureToken } from '../../lib/features/feature-collection.js';
import {
  HttpConnectionFeature,
  HttpRequestFeature,
  HttpRequestLifetimeFeature,
  HttpResponseBodyFeature,
  HttpResponseFeature,
} from '../../lib/features/http-features.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import { until } from '../support/until.js';
import { captureErrors } from '../support/quiet-console.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const HEALTHY = 'GET /healthy HTTP/1.1\r\nHost: h\r\n\r\n';

captureErrors();

/** The codes of what each of the attempts throws or rejects with; `none` where it does not. */
async function codesOf(attempts: Readonly<Record<string, () => unknown>>): Promise<object> {
  const codes: Record<string, unknown> = {};
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      await attempt();
      codes[name] = 'none';
    } catch (error) {
      codes[name] = (error as { code?: unknown }).code ?? String(error);
    }
  }
  return codes;
}

test('after the end every way to write is refused with a code', async (t) => {
  const ways: Readonly<Record<string, (context: HttpContext) => unknown>> = {
    text: ({ response }) => response.text('a'),
    json: ({ response }) => response.json(1),
    bytes: ({ response }) => response.bytes(Buffer.from('a')),
    write: ({ response }) => response.write('a'),
    end: ({ response }) => response.end(),
  };
  const ends = ['text', 'json', 'bytes', 'end'];
  let codes: object = {};
  const { connect } = await startServer(t, async (context) => {
    await ways[context.request.path.slice(1)](context);
    codes = await codesOf(
      Object.fromEntries(Object.entries(ways).map(([name, way]) => [name, () => way(context)])),
    );
  });
  const client = await connect();
  for (const end of ends) {
    const answer = await client.request(`GET /${end} HTTP/1.1\r\nHost: h\r\n\r\n`);
    t.is(answer.status, 200, end);
    const expected = Object.fromEntries(
      Object.keys(ways).map((name) => [name, 'WH_ERR_RESPONSE_ENDED']),
    );
    t.deepEqual(codes, expected, end);
  }
});

test('after the start the head can no longer change', async (t) => {
  let codes: object = {};
  const { once } = await startServer(t, async ({ response, features }) => {
    const early = response.headers;
    await response.write('a');
    const raw = features.get(HttpResponseFeature);
    codes = await codesOf({
      statusCode: () => (response.statusCode = 404),
      reasonPhrase: () => (response.reasonPhrase = 'a'),
      'headers.set': () => {
        response.headers.set('X', 'y');
      },
      'headers of before': () => {
        early.set('X', 'y');
      },
      'headers.append': () => {
        response.headers.append('X', 'y');
      },
      'headers.delete': () => response.headers.delete('X'),
      contentType: () => (response.contentType = 'a/b'),
      contentLength: () => (response.contentLength = 1),
      redirect: () => {
        response.redirect('/');
      },
      onStarting: () => {
        response.onStarting(() => undefined);
      },
      'raw onStarting': () => raw?.onStarting(() => undefined),
      text: () => response.text('a'),
      bytes: () => response.bytes(Buffer.from('a')),
    });
  });
  t.is((await once(GET)).text, 'a');
  t.deepEqual(
    codes,
    Object.fromEntries(Object.keys(codes).map((name) => [name, 'WH_ERR_RESPONSE_STARTED'])),
  );
});

test('wrong types in every member of the response', async (t) => {
  let codes: Record<string, unknown> = {};
  const { connect } = await startServer(t, async ({ request, response }) => {
    if (request.path === '/healthy') return response.text('healthy');
    const x = response as unknown as Record<string, (...values: unknown[]) => unknown>;
    const headers = response.headers as unknown as Record<
      string,
      (...values: unknown[]) => unknown
    >;
    const raw = response as unknown as Record<string, unknown>;
    const attempts: Record<string, () => unknown> = {};
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    const wrong = [undefined, null, 5, true, {}, [], Symbol('a'), 5n, () => 5];
    wrong.forEach((value, i) => {
      const n = String(i);
      attempts[`text ${n}`] = () => x.text(value);
      attempts[`bytes ${n}`] = () => x.bytes(value);
      attempts[`write ${n}`] = () => x.write(value);
      attempts[`redirect ${n}`] = () => x.redirect(value);
      if (typeof value !== 'function') {
        attempts[`onStarting ${n}`] = () => x.onStarting(value);
        attempts[`onCompleted ${n}`] = () => x.onCompleted(value);
      }
      attempts[`headers.set name ${n}`] = () => headers.set(value, 'a');
      attempts[`headers.append name ${n}`] = () => headers.append(value, 'a');
      if (typeof value !== 'number' && !Array.isArray(value)) {
        attempts[`headers.set value ${n}`] = () => headers.set('X', value);
      }
      if (typeof value !== 'number') {
        attempts[`headers.append value ${n}`] = () => headers.append('X', value);
      }
      attempts[`statusCode ${n}`] = () => (raw.statusCode = value);
      if (value !== undefined) {
        attempts[`reasonPhrase ${n}`] = () => (raw.reasonPhrase = value);
        if (typeof value !== 'number' && !Array.isArray(value)) {
          attempts[`contentType ${n}`] = () => (raw.contentType = value);
        }
        if (typeof value !== 'number') {
          attempts[`contentLength ${n}`] = () => (raw.contentLength = value);
        }
        attempts[`text type ${n}`] = () => x.text('a', value);
      }
    });
    attempts['json undefined'] = () => response.json(undefined);
    attempts['json function'] = () => response.json(() => 5);
    attempts['json cyclic'] = () => response.json(cyclic);
    attempts['json bigint'] = () => response.json(5n);
    attempts['json throwing'] = () =>
      response.json({
        toJSON() {
          throw new Error('mine');
        },
      });
    attempts['bytes of a DataView'] = () => x.bytes(new DataView(new ArrayBuffer(4)));
    attempts['bytes of an ArrayBuffer'] = () => x.bytes(new ArrayBuffer(4));
    attempts['bytes of words'] = () => x.bytes(new Uint16Array(4));
    attempts['redirect status'] = () => {
      response.redirect('/', 200);
    };
    codes = (await codesOf(attempts)) as Record<string, unknown>;
    return response.text('survived');
  });
  const client = await connect();
  t.is((await client.request(GET)).text, 'survived');
  t.true(Object.keys(codes).length > 100);
  for (const [name, code] of Object.entries(codes)) {
    t.regex(String(code), /^WH_ERR_[A-Z_]+$/, `${name}: ${String(code)}`);
  }
  t.is((await client.request(HEALTHY)).text, 'healthy');
});

test('things that only look like bytes', async (t) => {
  const fakes: (() => unknown)[] = [
    () => Object.create(Uint8Array.prototype) as unknown,
    () => new Proxy(Buffer.from('abc'), {}),
    () => {
      const bytes = Buffer.alloc(10, 'x');
      Object.defineProperty(bytes, 'byteLength', { value: 1_000_000 });
      return bytes;
    },
    () => {
      const bytes = Buffer.alloc(100_000, 'x');
      Object.defineProperty(bytes, 'byteLength', { value: 10 });
      return bytes;
    },
    () => {
      const bytes = Buffer.alloc(10, 'x');
      Object.defineProperty(bytes, 'byteLength', { value: -1 });
      return bytes;
    },
    () => {
      const bytes = Buffer.alloc(10, 'x');
      Object.defineProperty(bytes, 'byteLength', {
        get() {
          throw new Error('mine');
        },
      });
      return bytes;
    },
  ];
  for (const way of ['bytes', 'write'] as const) {
    for (const [i, fake] of fakes.entries()) {
      const { connect, once } = await startServer(t, ({ request, response }) =>
        request.path === '/healthy'
          ? response.text('healthy')
          : response[way](fake() as Uint8Array),
      );
      const client = await connect();
      const answer = await client.request(GET).catch(() => undefined);
      // Whatever comes, nothing of others is in it.
      t.regex(answer?.text ?? '', /^(x*|abc|500 Internal Server Error\n)$/, `${way} ${String(i)}`);
      t.is((await once(HEALTHY)).text, 'healthy');
    }
  }
});

test('header injection is refused in every place where text reaches the head', async (t) => {
  const evil = [
    'a\r\nInjected: 1',
    'a\nInjected: 1',
    'a\rInjected: 1',
    'a\0b',
    'a\u010d\u010aInjected: 1',
    'é',
    'a\x7f',
    'a\u2028b',
  ];
  for (const value of evil) {
    let codes: Record<string, unknown> = {};
    const { connect } = await startServer(t, async ({ request, response, features }) => {
      const head = features.get(HttpResponseFeature);
      const body = features.get(HttpResponseBodyFeature);
      switch (request.path) {
        case '/reason':
          if (head !== undefined) head.reasonPhrase = value;
          return response.text('a');
        case '/reason/start':
          if (head !== undefined) head.reasonPhrase = value;
          return response.write('a');
        case '/type':
          return body?.send?.('a', value);
        default:
          codes = (await codesOf({
            set: () => {
              response.headers.set('X', value);
            },
            'set of many': () => {
              response.headers.set('X', ['a', value]);
            },
            append: () => {
              response.headers.append('X', value);
            },
            name: () => {
              response.headers.set(value, 'a');
            },
            reasonPhrase: () => (response.reasonPhrase = value),
            contentType: () => (response.contentType = value),
            'text type': () => response.text('a', value),
            'bytes type': () => response.bytes(Buffer.from('a'), value),
          })) as Record<string, unknown>;
          return response.text('a');
      }
    });
    const client = await connect();
    for (const path of ['/', '/reason', '/reason/start', '/type']) {
      const answer = await client.request(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
      t.is(answer.status, path === '/' ? 200 : 500, `${JSON.stringify(value)} ${path}`);
      t.false(/injected/i.test(answer.head));
    }
    for (const [name, code] of Object.entries(codes)) {
      t.regex(String(code), /^WH_ERR_INVALID_/, `${name} ${JSON.stringify(value)}`);
    }
  }
  const { once } = await startServer(t, ({ response }) => {
    response.redirect('/a b\u00e9\u010a?c');
  });
  t.deepEqual((await once(GET)).headers.get('location'), ['/a%20b%C3%A9%C4%8A?c']);
});

test('Transfer-Encoding and a Content-Length of nonsense are refused, and nothing is sent before', async (t) => {
  const { connect, reported } = await startServer(t, ({ request, response }) => {
    const [name, value] = decodeURIComponent(request.path.slice(1)).split('=');
    response.headers.append(name, value);
    if (request.queryString === '?twice') response.headers.append(name, value);
    return request.queryString === '?write' ? response.write('abc') : response.text('abc');
  });
  const client = await connect();
  const rows = [
    'Transfer-Encoding=gzip',
    'Transfer-Encoding=chunked',
    'Content-Length=abc',
    'Content-Length=-3',
    'Content-Length=3.0',
    'Content-Length=99999999999999999999',
    'Content-Length=3?twice',
    'Transfer-Encoding=chunked?write',
    'Content-Length=3, 3?write',
  ];
  for (const row of rows) {
    const [field, query] = row.split('?');
    const target = `/${encodeURIComponent(field)}${query === undefined ? '' : `?${query}`}`;
    const answer = await client.request(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
    t.is(answer.status, 500, row);
  }
  t.is(reported.length, rows.length);
  for (const error of reported) t.regex(String((error as { code?: unknown }).code), /^WH_ERR_/);
});

test('header blocks up to what fits are sent; larger ones are refused with a code', async (t) => {
  const { connect, reported } = await startServer(t, ({ request, response }) => {
    const [, size, way] = request.path.split('/');
    for (let left = Number(size); left > 0; left -= 10_000) {
      response.headers.append('X', 'v'.repeat(Math.min(left, 10_000)));
    }
    switch (way) {
      case 'bytes':
        return response.bytes(Buffer.alloc(50_000));
      case 'large':
        return response.text('t'.repeat(10_900));
      case 'write':
        return response.write('a');
      case 'end':
        return response.end();
      default:
        return response.text('a');
    }
  });
  const client = await connect();
  for (const way of ['text', 'bytes', 'large', 'write', 'end']) {
    for (const size of [100_000, 130_000]) {
      const answer = await client.request(
        `GET /${String(size)}/${way} HTTP/1.1\r\nHost: h\r\n\r\n`,
      );
      t.is(answer.status, 200, way);
      t.is(answer.headers.get('x')?.join('').length, size);
    }
    for (const size of [140_000, 260_000, 300_000, 2_000_000]) {
      const answer = await client.request(
        `GET /${String(size)}/${way} HTTP/1.1\r\nHost: h\r\n\r\n`,
      );
      t.is(answer.status, 500, `${way} ${String(size)}`);
      t.false(answer.headers.has('x'));
    }
  }
  t.is(reported.length, 20);
  for (const error of reported) {
    t.is((error as { code?: unknown }).code, 'WH_ERR_HEADERS_TOO_LARGE');
  }
});

test('invalid statuses are refused, through the response and through its feature', async (t) => {
  const values = [
    -1,
    0,
    99,
    100,
    101,
    103,
    199,
    600,
    999,
    1000,
    4096,
    70_000,
    NaN,
    Infinity,
    200.5,
    '200',
    null,
    undefined,
    {},
  ];
  let value: unknown;
  const { connect } = await startServer(t, async ({ request, response, features }) => {
    const codes = await codesOf({ set: () => (response.statusCode = value as number) });
    t.deepEqual(codes, { set: 'WH_ERR_INVALID_STATUS' }, String(value));
    const head = features.get(HttpResponseFeature);
    if (head !== undefined) head.statusCode = value as number;
    if (request.path === '/text') return response.text('a');
    if (request.path === '/write') return response.write('a');
    return undefined;
  });
  const client = await connect();
  for (value of values) {
    for (const path of ['/text', '/write', '/nothing']) {
      const answer = await client.request(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
      t.is(answer.status, 500, `${String(value)} ${path}`);
    }
  }
});

test('features replaced with garbage cost that request, and no other', async (t) => {
  const tokens = [
    HttpRequestFeature,
    HttpResponseFeature,
    HttpResponseBodyFeature,
    HttpConnectionFeature,
    HttpRequestLifetimeFeature,
    createFeatureToken<unknown>('HttpRequestIdentifierFeature'),
    createFeatureToken<unknown>('HttpRequestBodyDetectionFeature'),
    createFeatureToken<unknown>('RouteValuesFeature'),
    createFeatureToken<unknown>('somebody else'),
  ];
  const garbage: unknown[] = [
    undefined,
    null,
    5,
    'a',
    {},
    [],
    () => 5,
    new Proxy(
      {},
      {
        get() {
          throw new Error('mine');
        },
      },
    ),
    { statusCode: 99, headers: 5, hasStarted: 'no', requestAborted: 5, path: {}, write: 5 },
  ];
  let token: (typeof tokens)[number];
  let value: unknown;
  const { connect } = await startServer(t, async (context) => {
    if (context.request.path === '/healthy') return context.response.text('healthy');
    context.features.set(token as typeof HttpRequestFeature, value as never);
    // Whatever fails of this may fail.
    await codesOf({
      path: () => context.request.path,
      header: () => context.request.headers.get('Host'),
      body: () => context.request.body.text(),
      aborted: () => context.requestAborted,
      remote: () => context.connection.remoteAddress,
      trace: () => context.traceIdentifier,
      status: () => (context.response.statusCode = 201),
      set: () => {
        context.response.headers.set('X', 'y');
      },
      iterate: () => [...context.features],
    });
    if (Math.random() < 0.5) await delay(1);
    return context.response.text('a');
  });
  for (token of tokens) {
    for (value of garbage) {
      const client = await connect();
      await client.request(GET).catch(() => undefined);
      client.destroy();
      const healthy = await connect();
      t.is((await healthy.request(HEALTHY)).text, 'healthy', token.name);
      healthy.destroy();
    }
  }
});

test('tokens that are none', async (t) => {
  const { once } = await startServer(t, async ({ features, response }) => {
    const codes = await codesOf({
      undefined: () => features.get(undefined as never),
      null: () => features.set(null as never, 5 as never),
      object: () => features.get({} as never),
    });
    return response.json(Object.keys(codes).length);
  });
  t.is((await once(GET)).text, '3');
});

test('the end, and more of it, from within onStarting and onCompleted', async (t) => {
  const codes: unknown[] = [];
  const { connect } = await startServer(t, async ({ request, response }) => {
    const tries = async (): Promise<void> => {
      codes.push(
        ...Object.values(
          await codesOf({
            text: () => response.text('more'),
            write: () => response.write('more'),
            end: () => response.end(),
          }),
        ),
      );
    };
    if (request.path === '/completed') response.onCompleted(tries);
    if (request.path === '/starting') {
      response.onStarting(() => {
        response.onStarting(() => undefined);
        response.headers.set('X', 'y');
      });
    }
    return response.text('a');
  });
  const client = await connect();
  t.is((await client.request('GET /completed HTTP/1.1\r\nHost: h\r\n\r\n')).text, 'a');
  await until(() => codes.length === 3, 'the callback has run');
  t.deepEqual(codes, Array<string>(3).fill('WH_ERR_RESPONSE_ENDED'));
  const answer = await client.request('GET /starting HTTP/1.1\r\nHost: h\r\n\r\n');
  t.is(answer.text, 'a');
  t.deepEqual(answer.headers.get('x'), ['y']);
});

test('an answer from within onStarting is no end of the world', async (t) => {
  for (const later of [false, true]) {
    const { connect, once } = await startServer(t, async ({ request, response }) => {
      if (request.path === '/healthy') return response.text('healthy');
      response.onStarting(async () => {
        if (later) await delay(1);
        await response.text('from onStarting');
      });
      return response.text('from the handler');
    });
    const client = await connect();
    if (later)
      void client.write(GET); // It waits for itself, until the client loses patience.
    else t.is((await client.request(GET)).text, 'from onStarting');
    await client.reset();
    t.is((await once(HEALTHY)).text, 'healthy');
  }
});
