/** What somebody keeps of a request that is over tells so, and never shows another request's data. */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import type { FeatureCollection } from '../../lib/features/feature-collection.js';
import {
  HttpConnectionFeature,
  HttpRequestFeature,
  HttpRequestLifetimeFeature,
  HttpResponseBodyFeature,
  HttpResponseFeature,
} from '../../lib/features/http-features.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { HttpApplication } from '../../lib/server/server.js';
import { until } from '../support/until.js';
import { startApplication, startServer } from '../support/wire-server.js';

const CODE = 'WH_ERR_CONTEXT_DISPOSED';
const SECRET =
  'POST /secret?q HTTP/1.1\r\nHost: h\r\nX-Own: secret\r\nContent-Length: 6\r\n\r\nsecret';
const OTHER =
  'PUT /another?r HTTP/1.1\r\nHost: i\r\nX-Own: another\r\nContent-Length: 7\r\n\r\nanother';

type Attempts = Readonly<Record<string, () => unknown>>;

/** Everything that there is to touch of a context and its parts. */
function touchesOf(context: HttpContext): Attempts {
  const { request, response, connection, features, items } = context;
  const { headers, body } = request;
  const responseHeaders = response.headers;
  return {
    'context.request': () => context.request,
    'context.response': () => context.response,
    'context.connection': () => context.connection,
    'context.features': () => context.features,
    'context.items': () => context.items,
    'context.traceIdentifier': () => context.traceIdentifier,
    'context.traceIdentifier=': () => (context.traceIdentifier = 'a'),
    'context.requestAborted': () => context.requestAborted,
    'context.abort': () => {
      context.abort();
    },
    'request.method': () => request.method,
    'request.method=': () => (request.method = 'GET'),
    'request.path': () => request.path,
    'request.path=': () => (request.path = '/a'),
    'request.pathBase': () => request.pathBase,
    'request.queryString': () => request.queryString,
    'request.query': () => request.query,
    'request.rawTarget': () => request.rawTarget,
    'request.protocol': () => request.protocol,
    'request.scheme': () => request.scheme,
    'request.host': () => request.host,
    'request.cookies': () => request.cookies,
    'request.contentType': () => request.contentType,
    'request.contentLength': () => request.contentLength,
    'request.headers': () => request.headers,
    'request.hasBody': () => request.hasBody,
    'request.body': () => request.body,
    'request.routeValues': () => request.routeValues,
    'request.aborted': () => request.aborted,
    'headers.get': () => headers.get('X-Own'),
    'headers.get of a known name': () => headers.get('Host'),
    'headers.getAll': () => headers.getAll('X-Own'),
    'headers.has': () => headers.has('X-Own'),
    'headers.size': () => headers.size,
    'headers.set': () => {
      headers.set('X-Own', 'a');
    },
    'headers.append': () => {
      headers.append('X-Own', 'a');
    },
    'headers.delete': () => headers.delete('X-Own'),
    'headers, iterated': () => [...headers],
    'body.bytes': () => body.bytes(),
    'body.text': () => body.text(),
    'body.json': () => body.json(),
    'body.stream': () => body.stream(),
    'body.readable': () => body.readable(),
    'body, iterated': () => body[Symbol.asyncIterator](),
    'response.statusCode': () => response.statusCode,
    'response.statusCode=': () => (response.statusCode = 200),
    'response.reasonPhrase': () => response.reasonPhrase,
    'response.reasonPhrase=': () => (response.reasonPhrase = 'a'),
    'response.headers': () => response.headers,
    'response.hasStarted': () => response.hasStarted,
    'response.contentType': () => response.contentType,
    'response.contentType=': () => (response.contentType = 'a/b'),
    'response.contentLength': () => response.contentLength,
    'response.contentLength=': () => (response.contentLength = 1),
    'response.text': () => response.text('a'),
    'response.json': () => response.json(1),
    'response.bytes': () => response.bytes(Buffer.from('a')),
    'response.write': () => response.write('a'),
    'response.end': () => response.end(),
    'response.redirect': () => {
      response.redirect('/');
    },
    'response.onStarting': () => {
      response.onStarting(() => undefined);
    },
    'response.onCompleted': () => {
      response.onCompleted(() => undefined);
    },
    'response headers.get': () => responseHeaders.get('X'),
    'response headers.getAll': () => responseHeaders.getAll('X'),
    'response headers.has': () => responseHeaders.has('X'),
    'response headers.size': () => responseHeaders.size,
    'response headers.set': () => {
      responseHeaders.set('X', 'y');
    },
    'response headers.append': () => {
      responseHeaders.append('X', 'y');
    },
    'response headers.delete': () => responseHeaders.delete('X'),
    'response headers, iterated': () => [...responseHeaders],
    'connection.id': () => connection.id,
    'connection.remoteAddress': () => connection.remoteAddress,
    'connection.remoteAddress=': () => (connection.remoteAddress = '::1'),
    'connection.remotePort': () => connection.remotePort,
    'connection.localAddress': () => connection.localAddress,
    'connection.localPort': () => connection.localPort,
    'features.get': () => features.get(HttpRequestFeature),
    'features.set': () => {
      features.set(HttpRequestFeature, undefined);
    },
    'features, iterated': () => [...features],
    // Not the server's: a map that the application made.
    ...(items.size < 0 ? {} : {}),
  };
}

async function codeOf(attempt: () => unknown): Promise<unknown> {
  try {
    await attempt();
    return 'none';
  } catch (error) {
    return (error as { code?: unknown }).code ?? error;
  }
}

for (const touched of [false, true]) {
  for (const later of [false, true]) {
    test(`a context that is over, ${touched ? 'used before' : 'fresh'}, ${later ? 'async' : 'sync'}`, async (t) => {
      const kept: Attempts[] = [];
      const { connect } = await startServer(t, async (context) => {
        if (later) await delay(1);
        const touches = touchesOf(context);
        if (touched) {
          for (const [name, touch] of Object.entries(touches)) {
            if (/\.(path|method|get|query|id|remote|local|trace)/.test(name)) await codeOf(touch);
          }
          // A copy of the headers, and a body that was read.
          context.request.headers.set('X-Changed', 'a');
          context.response.headers.set('X', 'y');
          await context.request.body.text();
        }
        kept.push(touches);
        await context.response.text('a');
      });
      const client = await connect();
      t.is((await client.request(SECRET)).text, 'a');
      // The slot of the first request has been another's meanwhile.
      for (let i = 0; i < 3; i++) t.is((await client.request(OTHER)).text, 'a');
      for (const [name, touch] of Object.entries(kept[0])) t.is(await codeOf(touch), CODE, name);
    });
  }
}

/** Keeps the features of every request, and tells nobody that they are over. */
class Hoarder implements HttpApplication<FeatureCollection> {
  readonly kept: FeatureCollection[] = [];
  onRequest: (features: FeatureCollection) => void | Promise<void> = () => undefined;

  createContext(features: FeatureCollection): FeatureCollection {
    this.kept.push(features);
    return features;
  }

  processRequest(features: FeatureCollection): void | Promise<void> {
    return this.onRequest(features);
  }

  disposeContext(): void {
    // Kept.
  }
}

test('features that a server gave never show another request, whoever keeps them', async (t) => {
  const hoarder = new Hoarder();
  const raw: Record<string, Attempts> = {};
  hoarder.onRequest = async (features) => {
    const request = features.get(HttpRequestFeature);
    const head = features.get(HttpResponseFeature);
    const body = features.get(HttpResponseBodyFeature);
    const lifetime = features.get(HttpRequestLifetimeFeature);
    const connection = features.get(HttpConnectionFeature);
    const { headers, body: source } = request ?? {};
    raw[String(hoarder.kept.length)] = {
      'features.get': () => features.get(HttpRequestFeature),
      'features.set': () => {
        features.set(HttpRequestFeature, undefined);
      },
      'features, iterated': () => [...features],
      method: () => request?.method,
      path: () => request?.path,
      queryString: () => request?.queryString,
      rawTarget: () => request?.rawTarget,
      protocol: () => request?.protocol,
      'headers.get': () => headers?.get('X-Own'),
      'headers.getAll': () => headers?.getAll('X-Own'),
      'headers, iterated': () => [...(headers ?? [])],
      'body, all': () => source?.bytes?.(),
      'body, iterated': () => source?.[Symbol.asyncIterator]().next(),
      'response headers': () => head?.headers,
      onStarting: () => head?.onStarting(() => undefined),
      onCompleted: () => head?.onCompleted(() => undefined),
      start: () => body?.start(),
      write: () => body?.write('a'),
      send: () => body?.send?.('a', undefined),
      complete: () => body?.complete(),
      abort: () => {
        lifetime?.abort();
      },
      requestAborted: () => lifetime?.requestAborted,
      remoteAddress: () => connection?.remoteAddress,
    };
    await body?.send?.('a', undefined);
  };
  const { connect } = await startApplication(t, hoarder);
  const client = await connect();
  await client.request(SECRET);
  for (let i = 0; i < 3; i++) await client.request(OTHER);
  for (const [name, touch] of Object.entries(raw['1'])) t.is(await codeOf(touch), CODE, name);

  // What was read once stays this request's own.
  let path: string | undefined;
  hoarder.onRequest = (features) => {
    path = features.get(HttpRequestFeature)?.path;
    return features.get(HttpResponseBodyFeature)?.send?.('a', undefined);
  };
  await client.request(SECRET);
  t.is(path, '/secret');
});

test('readers of a body that were begun and not ended fail once the request is over', async (t) => {
  const outcomes: Promise<unknown>[] = [];
  const { connect } = await startServer(t, async ({ request, response }) => {
    switch (request.path) {
      case '/iterator': {
        const iterator = request.body[Symbol.asyncIterator]();
        outcomes.push(delay(5).then(() => iterator.next()));
        break;
      }
      case '/stream': {
        const reader = request.body.stream().getReader();
        outcomes.push(delay(5).then(() => reader.read()));
        break;
      }
      case '/waiting':
        outcomes.push(request.body.bytes());
        break;
      default: {
        const readable = request.body.readable();
        outcomes.push(
          delay(5).then(async () => {
            for await (const piece of readable) void piece;
          }),
        );
      }
    }
    outcomes.at(-1)?.catch(() => undefined);
    await response.text('a');
  });
  const client = await connect();
  for (const path of ['/iterator', '/stream', '/readable', '/waiting']) {
    void client.write(`POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nsec`);
    t.is((await client.answer()).text, 'a');
    void client.write('ret');
    t.is((await client.request(OTHER)).text, 'a');
    t.is(await codeOf(() => outcomes[outcomes.length - 2]), CODE, path);
  }
});

test('work that goes on after its request cannot reach the next one', async (t) => {
  const late: unknown[] = [];
  const { connect } = await startServer(t, (context) => {
    if (context.request.path === '/first') {
      void (async () => {
        for (let i = 0; i < 20; i++) {
          await delay(1);
          late.push(await codeOf(() => context.response.write('late')));
          late.push(await codeOf(() => context.request.path));
          late.push(
            await codeOf(() => {
              context.abort();
            }),
          );
        }
      })();
      return context.response.text('first');
    }
    return delay(1).then(() => context.response.text(context.request.path));
  });
  const client = await connect();
  t.is((await client.request('GET /first HTTP/1.1\r\nHost: h\r\n\r\n')).text, 'first');
  for (let i = 0; i < 20; i++) {
    const path = `/${String(i)}`;
    t.is((await client.request(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`)).text, path);
  }
  await until(() => late.length === 60, 'the late work is done');
  t.deepEqual(late, Array<string>(60).fill(CODE));
});

test('ten thousand requests on the same slots never see each other', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    const before = `${request.path}${request.headers.get('X-Own') ?? ''}`;
    if (request.path.endsWith('7')) await delay(0);
    else await Promise.resolve();
    const after = `${request.path}${request.headers.get('X-Own') ?? ''}`;
    await response.text(before === after ? after : `${before} became ${after}`);
  });
  await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      const client = await connect();
      for (let i = 0; i < 50; i++) {
        let bytes = '';
        for (let k = 0; k < 10; k++) {
          bytes += `GET /${String(n)}/${String(i)}/${String(k)} HTTP/1.1\r\nHost: h\r\nX-Own: ${String(k * n)}\r\n\r\n`;
        }
        void client.write(bytes);
        for (let k = 0; k < 10; k++) {
          const answer = await client.answer();
          t.is(answer.text, `/${String(n)}/${String(i)}/${String(k)}${String(k * n)}`);
        }
      }
    }),
  );
});
