import test from 'ava';
import type { FeatureCollection } from '../../lib/features/feature-collection.js';
import { HttpRequestFeature } from '../../lib/features/http-features.js';
import { WindhoverError } from '../../lib/http/errors.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import { createApplication } from '../../lib/server/server.js';
import { coded, throwsEach } from '../support/errors.js';
import { startMemoryServer } from '../support/memory-server.js';

/** A context whose request is over; `use` sees it while it lives. */
async function finishedContext(use: (context: HttpContext) => void): Promise<HttpContext> {
  let kept: HttpContext | undefined;
  const server = await startMemoryServer(
    createApplication((context) => {
      kept = context;
      use(context);
    }),
  );
  await server.request();
  return kept as HttpContext;
}

/** Every readable member of an object's class. */
function gettersOf(target: object): string[] {
  const descriptors = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(target) as object);
  return Object.entries(descriptors)
    .filter(([name, descriptor]) => descriptor.get !== undefined && !name.startsWith('_'))
    .map(([name]) => name);
}

test('one request object, one response object per request', async (t) => {
  await finishedContext((context) => {
    t.is(context.request, context.request);
    t.is(context.response, context.response);
    t.is(context.connection, context.connection);
    t.is(context.items, context.items);
  });
});

test('every member of a finished context throws', async (t) => {
  const context = await finishedContext(() => undefined);
  const getters = gettersOf(context);
  t.true(getters.length >= 7);
  for (const name of getters) {
    t.throws(
      () => (context as unknown as Record<string, unknown>)[name],
      coded('WH_ERR_CONTEXT_DISPOSED', WindhoverError),
      name,
    );
  }
  throwsEach(t, 'WH_ERR_CONTEXT_DISPOSED', {
    abort: () => context.abort(),
    traceIdentifier: () => (context.traceIdentifier = 'x'),
  });
});

test('so does every member of what was kept from it', async (t) => {
  const kept: object[] = [];
  await finishedContext((context) => {
    // Used once, so that whatever they remember is there.
    t.is(context.request.path, '/');
    t.is(context.response.statusCode, 200);
    t.is(context.connection.id, '');
    kept.push(context.request, context.response, context.connection);
  });
  for (const object of kept) {
    const getters = gettersOf(object);
    t.true(getters.length >= 5);
    for (const name of getters) {
      t.throws(
        () => (object as Record<string, unknown>)[name],
        coded('WH_ERR_CONTEXT_DISPOSED'),
        `${object.constructor.name}.${name}`,
      );
    }
  }
});

test('so does every change of what was kept', async (t) => {
  let context: HttpContext | undefined;
  let parts: Pick<HttpContext, 'request' | 'response' | 'connection'> | undefined;
  await finishedContext((live) => {
    context = live;
    parts = { request: live.request, response: live.response, connection: live.connection };
  });
  const { request, response, connection } = parts as NonNullable<typeof parts>;
  throwsEach(t, 'WH_ERR_CONTEXT_DISPOSED', {
    method: () => (request.method = 'GET'),
    scheme: () => (request.scheme = 'https'),
    host: () => (request.host = 'h'),
    path: () => (request.path = '/'),
    pathBase: () => (request.pathBase = ''),
    queryString: () => (request.queryString = ''),
    statusCode: () => (response.statusCode = 200),
    reasonPhrase: () => (response.reasonPhrase = 'x'),
    contentType: () => (response.contentType = 'x/y'),
    contentLength: () => (response.contentLength = 1),
    text: () => response.text('a'),
    json: () => response.json({}),
    bytes: () => response.bytes(new Uint8Array(1)),
    write: () => response.write('a'),
    end: () => response.end(),
    redirect: () => response.redirect('/'),
    onStarting: () => response.onStarting(() => undefined),
    onCompleted: () => response.onCompleted(() => undefined),
    remoteAddress: () => (connection.remoteAddress = 'x'),
    remotePort: () => (connection.remotePort = 1),
    features: () => context?.features.set(HttpRequestFeature, undefined),
  });
});

test('a body kept past the end throws', async (t) => {
  let body: HttpContext['request']['body'] | undefined;
  await finishedContext((context) => {
    body = context.request.body;
  });
  await t.throwsAsync(body?.text() ?? Promise.resolve(''), coded('WH_ERR_CONTEXT_DISPOSED'));
});

test('a handler that goes on after the end gets errors, and the next request is not disturbed', async (t) => {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let late: Promise<unknown> = Promise.resolve();
  const server = await startMemoryServer(
    createApplication(({ request, response }) => {
      if (request.path === '/late') {
        late = released.then(() => response.text('too late'));
      } else void response.text('fine');
    }),
  );
  t.is((await server.request('/late')).text, '');
  release();
  await t.throwsAsync(late, coded('WH_ERR_CONTEXT_DISPOSED'));
  t.is((await server.request('/other')).text, 'fine');
});

test('the server disposes every context once, also of handlers that fail', async (t) => {
  const server = await startMemoryServer(
    createApplication(
      ({ request }) => {
        if (request.path === '/bad') throw new Error('bad');
      },
      { onError: () => undefined },
    ),
  );
  await server.request('/good');
  await server.request('/bad');
  t.is(server.calls.dispose, 2);
});

test('the context has the collection that the server gave', async (t) => {
  let seen: FeatureCollection | undefined;
  let given: FeatureCollection | undefined;
  const server = await startMemoryServer(
    createApplication((context) => {
      seen = context.features;
    }),
  );
  await server.request({ arrange: (features) => (given = features) });
  t.truthy(seen);
  t.is(seen, given);
});
