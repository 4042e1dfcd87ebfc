/** Whatever a callback throws, whenever it does: the client gets its answer, the server goes on. */
import { inspect } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import type { FeatureCollection } from '../../lib/features/feature-collection.js';
import { HttpResponseBodyFeature, HttpResponseFeature } from '../../lib/features/http-features.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { HttpApplication } from '../../lib/server/server.js';
import { createApplication } from '../../lib/server/server.js';
import { deferred, until } from '../support/until.js';
import { captureErrors } from '../support/quiet-console.js';
import { startApplication, startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const HEALTHY = 'GET /healthy HTTP/1.1\r\nHost: h\r\n\r\n';

captureErrors();

/** What can be thrown. */
const THROWN: Readonly<Record<string, () => unknown>> = {
  'an Error': () => new Error('mine'),
  undefined: () => undefined,
  null: () => null,
  'a number': () => 5,
  'an empty string': () => '',
  'a symbol': () => Symbol('mine'),
  'a bigint': () => 5n,
  'a function': () => () => 5,
  'an object without a prototype': () => Object.create(null) as unknown,
  'an error whose stack throws': () =>
    Object.defineProperty(new Error('mine'), 'stack', {
      get() {
        throw new Error('stack');
      },
    }),
  'an error whose name, message and code throw': () =>
    Object.defineProperties(new Error('mine'), {
      name: { get: throwing },
      message: { get: throwing },
      code: { get: throwing },
      statusCode: { get: throwing },
      cause: { get: throwing },
    }),
  'an error that fails to be shown': () => ({ [inspect.custom]: throwing }),
  'a proxy that refuses everything': () =>
    new Proxy(
      {},
      Object.fromEntries(
        ['get', 'has', 'getPrototypeOf', 'ownKeys', 'getOwnPropertyDescriptor'].map((trap) => [
          trap,
          throwing,
        ]),
      ),
    ),
  'a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  'a false bad request': () =>
    Object.assign(new Error('mine'), { name: 'BadHttpRequestError', statusCode: 9999 }),
  'a promise': () => Promise.resolve(5),
};

function throwing(): never {
  throw new Error('from a trap');
}

function raise(value: unknown): never {
  throw value;
}

for (const [name, make] of Object.entries(THROWN)) {
  for (const development of [false, true]) {
    test(`a handler throws ${name}${development ? ' in development' : ''}`, async (t) => {
      const application = createApplication(
        async (context) => {
          switch (context.request.path) {
            case '/healthy':
              return context.response.text('healthy');
            case '/later':
              await delay(1);
              return raise(make());
            case '/written':
              await context.response.write('a');
              return raise(make());
            default:
              return raise(make());
          }
        },
        { development, onError: () => undefined },
      );
      const sync = createApplication(() => raise(make()), {
        development,
        onError: () => undefined,
      });
      const { connect } = await startApplication(t, application);
      for (const path of ['/', '/later']) {
        for (const accept of ['', 'Accept: text/html\r\n']) {
          const client = await connect();
          const answer = await client.request(`GET ${path} HTTP/1.1\r\nHost: h\r\n${accept}\r\n`);
          t.is(answer.status, 500, path);
        }
      }
      const cut = await connect();
      await t.throwsAsync(cut.request('GET /written HTTP/1.1\r\nHost: h\r\n\r\n'));
      t.is((await (await connect()).request(HEALTHY)).text, 'healthy');
      const { once } = await startApplication(t, sync);
      t.is((await once(GET)).status, 500);
    });
  }
}

test('what is reported is what was thrown', async (t) => {
  const { connect, reported } = await startServer(t, async ({ request }) => {
    const [, name, later] = decodeURIComponent(request.path).split('/');
    if (later === 'later') await delay(1);
    raise(kept[name]);
  });
  const kept: Record<string, unknown> = {};
  const client = await connect();
  for (const [name, make] of Object.entries(THROWN)) {
    kept[name] = make();
    for (const later of ['', '/later']) {
      reported.length = 0;
      await client.request(`GET /${encodeURIComponent(name)}${later} HTTP/1.1\r\nHost: h\r\n\r\n`);
      t.is(reported.length, 1, name);
      t.true(reported[0] === kept[name], name);
    }
  }
});

for (const way of ['throws', 'rejects']) {
  test(`onError ${way}`, async (t) => {
    let told = 0;
    const application = createApplication(() => raise(new Error('mine')), {
      onError: () => {
        told++;
        if (way === 'throws') raise(Object.create(null));
        return Promise.reject(new Error('from onError')) as never;
      },
    });
    const { connect } = await startApplication(t, application);
    const client = await connect();
    for (let i = 0; i < 3; i++) t.is((await client.request(GET)).status, 500);
    t.is(told, 3);
    await delay(10);
  });

  test(`onStarting ${way}`, async (t) => {
    const { connect, reported } = await startServer(t, async ({ request, response }) => {
      if (request.path === '/healthy') return response.text('healthy');
      response.headers.set('X', 'y');
      response.onStarting(async () => {
        if (way === 'rejects') await delay(2);
        raise(new Error('from onStarting'));
      });
      switch (request.path) {
        case '/text':
          return response.text('a');
        case '/write':
          return response.write('a');
        case '/end':
          return response.end();
        case '/not waited for':
          void response.write('a');
          void response.write('b');
          return undefined;
        default:
          return undefined;
      }
    });
    const client = await connect();
    for (const path of ['/text', '/write', '/end', '/not%20waited%20for', '/nothing']) {
      const answer = await client.request(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
      t.is(answer.status, 500, path);
      t.false(answer.headers.has('x'), path);
    }
    t.is(reported.length, 5, 'each once');
    t.is((await client.request(HEALTHY)).text, 'healthy');
  });

  test(`onCompleted ${way}`, async (t) => {
    let ran = 0;
    const { connect } = await startServer(t, ({ response }) => {
      for (let i = 0; i < 3; i++) {
        response.onCompleted(async () => {
          ran++;
          if (way === 'rejects') await delay(1);
          raise({ [inspect.custom]: throwing });
        });
      }
      return response.text('a');
    });
    const client = await connect();
    for (let i = 0; i < 3; i++) t.is((await client.request(GET)).text, 'a');
    await until(() => ran === 9, 'all of them have run');
    t.pass();
  });
}

/** An application whose functions misbehave as its parts say; HEALTHY is answered all the same. */
class Misbehaving implements HttpApplication<FeatureCollection> {
  disposed = 0;

  constructor(
    private readonly parts: {
      readonly create?: () => unknown;
      readonly process?: (features: FeatureCollection) => unknown;
      readonly handleError?: () => unknown;
      readonly dispose?: () => unknown;
    },
  ) {
    if (parts.handleError !== undefined) this.handleError = parts.handleError;
  }

  handleError?: () => void;

  createContext(features: FeatureCollection): FeatureCollection {
    this.parts.create?.();
    return features;
  }

  processRequest(features: FeatureCollection): void | Promise<void> {
    const { process } = this.parts;
    if (process !== undefined) return process(features) as void;
    return features.get(HttpResponseBodyFeature)?.send?.('processed', undefined);
  }

  disposeContext(): void {
    this.disposed++;
    this.parts.dispose?.();
  }
}

for (const [name, make] of Object.entries(THROWN)) {
  test(`an application's own functions throw ${name}`, async (t) => {
    const fail = (): never => raise(make());
    const failing = new Misbehaving({ create: fail });
    const { connect } = await startApplication(t, failing);
    const client = await connect();
    for (let i = 0; i < 3; i++) t.is((await client.request(GET)).status, 500);

    const disposing = new Misbehaving({ dispose: fail });
    const second = await (await startApplication(t, disposing)).connect();
    for (let i = 0; i < 3; i++) t.is((await second.request(GET)).text, 'processed');
    t.is(disposing.disposed, 3);

    for (const process of [fail, async () => fail()]) {
      for (const handleError of [undefined, fail, async () => fail()]) {
        const processing = new Misbehaving({
          process,
          ...(handleError === undefined ? {} : { handleError }),
        });
        const third = await (await startApplication(t, processing)).connect();
        for (let i = 0; i < 3; i++) t.is((await third.request(GET)).status, 500);
        t.is(processing.disposed, 3);
      }
    }
  });
}

test('whatever processRequest returns is a promise, or nothing', async (t) => {
  const values: Readonly<Record<string, () => unknown>> = {
    null: () => null,
    5: () => 5,
    'a string': () => 'a',
    'an object': () => ({}),
    'then that is no function': () => ({ then: 5 }),
    'then that throws': () => ({ then: throwing }),
    'a getter of then that throws': () =>
      Object.defineProperty({}, 'then', {
        get: throwing,
      }),
    'a thenable that settles at once': () => ({
      then(resolve: () => void) {
        resolve();
      },
    }),
    'a thenable that settles twice': () => ({
      then(resolve: () => void, reject: (error: unknown) => void) {
        resolve();
        reject(new Error('too late'));
        resolve();
      },
    }),
    'a thenable that settles twice, later': () => ({
      then(resolve: () => void, reject: (error: unknown) => void) {
        setTimeout(resolve, 1);
        setTimeout(reject, 2);
        setTimeout(resolve, 3);
      },
    }),
    'a thenable that resolves and throws': () => ({
      then(resolve: () => void) {
        resolve();
        throw new Error('mine');
      },
    }),
    'what inherits from Promise only': () => Object.create(Promise.prototype) as unknown,
    'a promise whose constructor throws': () =>
      Object.defineProperty(Promise.resolve(), 'constructor', { get: throwing }),
    'a promise whose constructor is none': () =>
      Object.defineProperty(Promise.resolve(), 'constructor', { value: 5 }),
    'a promise with a then of its own': () =>
      Object.defineProperty(Promise.resolve(), 'then', { value: throwing }),
    'a subclass': () =>
      new (class extends Promise<void> {
        override then(): never {
          throw new Error('mine');
        }
      })((resolve) => {
        resolve();
      }),
    'a promise of another promise': () => Promise.resolve(Promise.resolve()),
  };
  for (const kind of ['application', 'delegate']) {
    for (const [name, make] of Object.entries(values)) {
      const application =
        kind === 'application'
          ? new Misbehaving({ process: make })
          : createApplication(make as never, { onError: () => undefined });
      const { connect, metrics } = await startApplication(
        t,
        application as HttpApplication<unknown>,
      );
      const client = await connect();
      for (let i = 0; i < 3; i++) {
        const answer = await client.request(GET);
        t.true([200, 500].includes(answer.status), `${kind}: ${name}`);
      }
      await until(() => metrics().activeRequests === 0, `${name} is over`);
      if (application instanceof Misbehaving) t.is(application.disposed, 3, name);
    }
  }
});

test('a thenable holds the answer until it settles', async (t) => {
  const { once } = await startServer(t, (context) => {
    const thenable = {
      then(resolve: () => void) {
        setTimeout(() => {
          context.response.statusCode = 201;
          resolve();
        }, 5);
      },
    };
    return thenable as unknown as Promise<void>;
  });
  t.is((await once(GET)).status, 201);
});

test('prototypes that somebody changed do not end the process', async (t) => {
  const { connect } = await startServer(t, async ({ request, response }) => {
    await Promise.resolve();
    await response.text(`${request.path}${request.headers.get('x') ?? ''}`);
  });
  const patches: (() => () => void)[] = [
    () => patch(Promise.prototype, 'then', throwing, 50),
    () => patch(Array.prototype, 'push', throwing, 5),
    () => patch(Map.prototype, 'get', throwing, 5),
    () => patch(Array.prototype, Symbol.iterator, throwing, 5),
    () => patch(RegExp.prototype, 'test', throwing, 5),
    () => patch(Object.getPrototypeOf(Uint8Array.prototype) as object, 'subarray', throwing, 5),
  ];
  const client = await connect();
  t.is((await client.request('GET /a HTTP/1.1\r\nHost: h\r\nX: b\r\n\r\n')).text, '/ab');
  // Patched for the server's batch only: the test itself needs whole prototypes.
  for (const apply of patches) {
    const patched = deferred();
    const { connect: connectPatched } = await startServer(t, async ({ request, response }) => {
      if (request.path === '/healthy') return response.text('healthy');
      const restore = apply();
      try {
        response.headers.set('X', ['y', 'z']);
        return response.text('a', 'text/x');
      } finally {
        restore();
        patched.resolve();
      }
    });
    const other = await connectPatched();
    await other.request(GET).catch(() => undefined);
    await patched.promise;
    const healthy = await connectPatched();
    t.is((await healthy.request(HEALTHY)).text, 'healthy');
  }
  t.is((await client.request('GET /a HTTP/1.1\r\nHost: h\r\nX: b\r\n\r\n')).text, '/ab');
});

/** Replaces a method; it fails a few times and then works again. */
function patch(
  object: object,
  name: PropertyKey,
  method: () => unknown,
  times: number,
): () => void {
  const original = Object.getOwnPropertyDescriptor(object, name) as PropertyDescriptor;
  let left = times;
  Object.defineProperty(object, name, {
    ...original,
    value(this: unknown, ...values: unknown[]): unknown {
      if (left-- > 0) return method();
      return (original.value as (...all: unknown[]) => unknown).apply(this, values);
    },
  });
  return () => {
    Object.defineProperty(object, name, original);
  };
}

test('a head that middleware replaced gives its status', async (t) => {
  const { once } = await startServer(t, (context: HttpContext) => {
    const head = context.features.get(HttpResponseFeature);
    if (head === undefined) return;
    context.features.set(HttpResponseFeature, {
      statusCode: 202,
      reasonPhrase: undefined,
      headers: head.headers,
      hasStarted: false,
      onStarting: () => undefined,
      onCompleted: () => undefined,
    });
  });
  t.is((await once(GET)).status, 202);
});
