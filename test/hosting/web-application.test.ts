import { once } from 'node:events';
import test from 'ava';
import { ServerAddressesFeature } from '../../lib/features/server-features.js';
import { startServing } from '../../lib/hosting/serve.js';
import { WebApplication } from '../../lib/hosting/web-application.js';
import type { ServerOptions } from '../../lib/server/options.js';
import { coded } from '../support/errors.js';
import { startApplication } from '../support/memory-application.js';
import { MemoryServer } from '../support/memory-server.js';
import { deferred } from '../support/until.js';

test('serves on a server with the three required features', async (t) => {
  const { request } = await startApplication((app) => {
    app.use(async (_context, next) => {
      await next();
    });
    app.get('/hello/:name', ({ request, response }) =>
      response.json({ hello: request.routeValues['name'] }),
    );
  });
  const response = await request('/hello/kestrel');
  t.is(response.text, '{"hello":"kestrel"}');
  t.is(response.headers.get('content-type'), 'application/json; charset=utf-8');
});

test('gives a server the URLs to listen on through its addresses', async (t) => {
  const { app, server } = await startApplication(
    (app) => app.urls.add('http://127.0.0.1:0'),
    (builder) => builder.urls.add('http://127.0.0.2:0'),
  );
  t.deepEqual([...app.addresses], ['http://127.0.0.2:0', 'http://127.0.0.1:0']);
  t.is(server.features.get(ServerAddressesFeature)?.addresses, app.addresses as string[]);
});

test('leaves alone the addresses that a server brought along', async (t) => {
  const server = new MemoryServer();
  server.features.get(ServerAddressesFeature)?.addresses.push('http://own:1');
  const app = WebApplication.createBuilder().useServer(server).build();
  app.urls.add('http://127.0.0.1:0');
  await app.start();
  t.deepEqual([...app.addresses], ['http://own:1']);
});

test('a function that makes the server gets all the options, with the URLs as endpoints', async (t) => {
  const given: ServerOptions[] = [];
  const server = new MemoryServer();
  const builder = WebApplication.createBuilder({ args: ['--urls', 'http://127.0.0.1:0'] });
  builder.useServer((options) => {
    given.push(options);
    return server;
  });
  builder.server.limits.maxRequestBodySize = 10_000_000;
  builder.server.http1.allowBareLineFeed = true;
  builder.server.addServerHeader = false;
  builder.server.busyPoll = 50;
  const app = builder.build();
  t.throws(() => app.server, coded('WH_ERR_APPLICATION_NOT_STARTED'));
  await app.start();
  t.is(app.server, server);
  t.deepEqual(given, [
    {
      endpoints: [{ url: 'http://127.0.0.1:0' }],
      endpointDefaults: {},
      connectionLimitResponse: '503',
      limits: { maxRequestBodySize: 10_000_000 },
      http1: { allowBareLineFeed: true },
      addServerHeader: false,
      busyPoll: 50,
      refusals: 'empty',
      shutdown: {},
    },
  ]);
});

test.serial('endpoints win over URLs, with a warning', async (t) => {
  let given: ServerOptions | undefined;
  const builder = WebApplication.createBuilder().useServer((options) => {
    given = options;
    return new MemoryServer();
  });
  builder.server.listen({ host: '127.0.0.1', port: 0 });
  const app = builder.build();
  app.urls.add('http://127.0.0.1:1');
  const warned = once(process, 'warning');
  await app.start();
  t.deepEqual(given?.endpoints, [{ host: '127.0.0.1', port: 0 }]);
  const [warning] = (await warned) as [Error & { code?: string }];
  t.is(warning.code, 'WH_WARN_URLS_IGNORED');
  t.regex(warning.message, /http:\/\/127\.0\.0\.1:1/);
});

test('clients are told what went wrong in development only', async (t) => {
  for (const [environment, tells] of [
    ['Production', false],
    ['development', true],
  ] as const) {
    const { request, app, reported } = await startApplication(
      (app) =>
        app.get('/boom', () => {
          throw new Error('the secret');
        }),
      undefined,
      environment,
    );
    const response = await request('/boom');
    t.is(response.statusCode, 500);
    t.is(response.text.includes('the secret'), tells);
    t.is(app.environment.isDevelopment, tells);
    t.is(reported.length, 1);
  }
});

test('lives once: a second start is refused, also after a stop', async (t) => {
  const { app, server } = await startApplication(() => undefined);
  await t.throwsAsync(app.start(), coded('WH_ERR_APPLICATION_STARTED'));
  await app.stop();
  await t.throwsAsync(app.start(), coded('WH_ERR_APPLICATION_STARTED'));
  t.is(server.calls.start, 1);
});

test('stops once, however often and in whatever moment it is asked to', async (t) => {
  const { app, server } = await startApplication(() => undefined);
  await Promise.all([app.stop(), app.stop()]);
  await app.stop();
  t.is(server.calls.stop, 1);
});

test('a stop before the start does nothing', async (t) => {
  const server = new MemoryServer();
  const app = WebApplication.createBuilder().useServer(server).build();
  await app.stop();
  t.is(server.calls.stop, 0);
  await app.start();
  t.true(app.lifetime.started.aborted);
});

test('a stop during the start waits for it', async (t) => {
  const server = new MemoryServer();
  const app = WebApplication.createBuilder().useServer(server).build();
  const starting = app.start();
  await app.stop();
  await starting;
  t.deepEqual(server.calls, { start: 1, stop: 1, dispose: 0 });
});

test('a start that fails says so; there is nothing to stop then', async (t) => {
  const server = new MemoryServer();
  server.startError = Object.assign(new Error('in use'), { code: 'WH_ERR_ADDRESS_IN_USE' });
  const app = WebApplication.createBuilder().useServer(server).build();
  await t.throwsAsync(app.start(), coded('WH_ERR_ADDRESS_IN_USE'));
  t.false(app.lifetime.started.aborted);
  await app.stop();
  t.is(server.calls.stop, 0);
});

test('the lifetime tells when the application has started, is stopping, has stopped', async (t) => {
  const server = new MemoryServer();
  let drained: () => void = () => undefined;
  server.drained = new Promise((resolve) => (drained = resolve));
  const app = WebApplication.createBuilder().useServer(server).build();
  const { lifetime } = app;
  const state = (): boolean[] => [
    lifetime.started.aborted,
    lifetime.stopping.aborted,
    lifetime.stopped.aborted,
  ];
  t.deepEqual(state(), [false, false, false]);
  await app.start();
  t.deepEqual(state(), [true, false, false]);
  const stopped = once(lifetime.stopped, 'abort');
  lifetime.stopApplication();
  t.deepEqual(state(), [true, true, false]);
  drained();
  await stopped;
  t.deepEqual(state(), [true, true, true]);
});

test('many streams may listen for the stop without a warning', (t) => {
  const { lifetime } = WebApplication.createBuilder().build();
  let warnings = 0;
  const count = (): void => void warnings++;
  process.on('warning', count);
  for (let i = 0; i < 100; i++) lifetime.stopping.addEventListener('abort', () => undefined);
  process.off('warning', count);
  t.is(warnings, 0);
});

test('a stop waits no longer than the shutdown timeout', async (t) => {
  const { app, server } = await startApplication(
    () => undefined,
    (builder) => (builder.shutdownTimeout = 1),
  );
  server.drained = new Promise(() => undefined);
  const awake = setInterval(() => undefined, 1_000);
  await app.stop();
  clearInterval(awake);
  t.true(server.stopSignal?.aborted);
});

test('the signal of a stop ends the wait, of a second one too', async (t) => {
  const { app, server } = await startApplication(() => undefined);
  server.drained = new Promise(() => undefined);
  const first = app.stop();
  t.false(server.stopSignal?.aborted ?? false);
  await app.stop(AbortSignal.abort());
  await first;
  t.true(server.stopSignal?.aborted);
});

test.serial('run waits for a signal, then stops', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
    const server = new MemoryServer();
    const builder = WebApplication.createBuilder().useServer(server);
    builder.suppressStatusMessages = true;
    const app = builder.build();
    const listeners = process.listenerCount(signal);
    const started = once(app.lifetime.started, 'abort');
    const running = app.run();
    await started;
    t.is(server.calls.stop, 0);
    process.emit(signal);
    await running;
    t.is(server.calls.stop, 1);
    t.is(process.listenerCount(signal), listeners);
  }
});

test('tells how far it has got', async (t) => {
  const server = new MemoryServer();
  let drained: () => void = () => undefined;
  server.drained = new Promise((resolve) => (drained = resolve));
  const app = WebApplication.createBuilder().useServer(server).build();
  const { lifetime } = app;
  t.is(lifetime.readiness, 'starting');
  t.false(lifetime.isReady);
  await app.start();
  t.is(lifetime.readiness, 'ready');
  t.true(lifetime.isReady);
  const stopped = app.stop();
  t.is(lifetime.readiness, 'stopping');
  t.false(lifetime.isReady);
  drained();
  await stopped;
  t.is(lifetime.readiness, 'stopped');
});

test('hooks run when the stop begins, and any server is stopped after them', async (t) => {
  const { app, server } = await startApplication(() => undefined);
  const { lifetime } = app;
  const gates = [deferred(), deferred()];
  const seen: string[] = [];
  gates.forEach(({ promise }, i) => {
    lifetime.onStopping(async () => {
      seen.push(`${String(i)} ${lifetime.readiness} ${String(lifetime.stopping.aborted)}`);
      await promise;
    });
  });
  const stopped = app.stop();
  t.deepEqual(seen, ['0 stopping true', '1 stopping true']);
  gates[0].resolve();
  await new Promise(setImmediate);
  t.is(server.calls.stop, 0);
  gates[1].resolve();
  await stopped;
  t.is(server.calls.stop, 1);
  t.is(seen.length, 2);
  // Too late to be waited for.
  lifetime.onStopping(() => void seen.push('late'));
  t.is(seen.length, 3);
  t.throws(() => lifetime.onStopping(1 as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
});

test('a hook that fails fails the stop, in the end', async (t) => {
  for (const failures of [1, 2]) {
    const { app, server } = await startApplication(() => undefined);
    const errors = [new Error('first'), new Error('second')].slice(0, failures);
    for (const error of errors) {
      app.lifetime.onStopping(() => {
        throw error;
      });
    }
    const failure = await t.throwsAsync(app.stop());
    if (failures === 1) t.is(failure, errors[0]);
    else t.deepEqual((failure as AggregateError).errors, errors);
    t.is(server.calls.stop, 1);
    t.is(app.lifetime.readiness, 'stopped');
  }
});

test('a hook that never ends is waited for no longer than the shutdown timeout', async (t) => {
  const { app, server } = await startApplication(
    () => undefined,
    (builder) => (builder.shutdownTimeout = 1),
  );
  app.lifetime.onStopping(() => new Promise(() => undefined));
  const awake = setInterval(() => undefined, 1_000);
  await app.stop();
  clearInterval(awake);
  t.is(server.calls.stop, 1);
  t.true(server.stopSignal?.aborted);
});

test('the shutdown timeout has two names', (t) => {
  const builder = WebApplication.createBuilder();
  t.is(builder.shutdownTimeout, 30_000);
  builder.shutdownTimeout = 5;
  t.is(builder.server.shutdown.timeout, 5);
  builder.server.shutdown.timeout = null;
  t.is(builder.shutdownTimeout, Infinity);
});

test.serial('run ends with stopApplication, and fails where the start fails', async (t) => {
  const quiet = (server: MemoryServer): WebApplication => {
    const builder = WebApplication.createBuilder().useServer(server);
    builder.suppressStatusMessages = true;
    return builder.build();
  };
  const app = quiet(new MemoryServer());
  app.lifetime.started.addEventListener('abort', () => app.lifetime.stopApplication());
  await app.run();
  t.true(app.lifetime.stopped.aborted);

  const broken = new MemoryServer();
  broken.startError = Object.assign(new Error('in use'), { code: 'WH_ERR_ADDRESS_IN_USE' });
  await t.throwsAsync(quiet(broken).run(), coded('WH_ERR_ADDRESS_IN_USE'));
});

test('refuses options of the wrong kind', (t) => {
  const builder = WebApplication.createBuilder();
  for (const server of [undefined, null, 1, {}, 'x']) {
    t.throws(() => builder.useServer(server as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  }
  t.throws(() => builder.server.listen(1 as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  t.throws(() => builder.server.listen(null as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  t.throws(() => WebApplication.createBuilder({ args: 'x' as never }), {
    code: 'WH_ERR_INVALID_ARGUMENT',
  });
  for (const timeout of [-1, NaN, 'x']) {
    builder.shutdownTimeout = timeout as number;
    t.throws(() => builder.build(), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  }
});

test('one function can be served alone', async (t) => {
  const server = new MemoryServer();
  server.features.get(ServerAddressesFeature)?.addresses.push('http://memory');
  const reported: unknown[] = [];
  const running = await startServing(
    server,
    ({ request, response }) => {
      if (request.path === '/boom') throw new Error('x');
      return response.text(request.path);
    },
    (error) => reported.push(error),
  );
  t.deepEqual([...running.addresses], ['http://memory']);
  t.is(running.server, server);
  t.like(await server.request('/a'), { text: '/a', sync: true });
  t.is((await server.request('/boom')).statusCode, 500);
  t.is(reported.length, 1);
  await running.stop();
  await running.stop();
  t.is(server.calls.stop, 2);
});
