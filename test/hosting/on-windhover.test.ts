/** Applications on the real server, with real clients. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { WebApplicationBuilder } from '../../lib/index.js';
import { BadHttpRequestError, serve, WebApplication, WindhoverServer } from '../../lib/index.js';
import { startChild } from '../support/child.js';
import { captureErrors } from '../support/quiet-console.js';
import { RawClient } from '../support/raw-client.js';
import { until, within } from '../support/until.js';

captureErrors();

interface Running {
  readonly app: WebApplication;
  readonly url: string;
  readonly reported: unknown[];
}

async function start(
  t: ExecutionContext,
  configure: (app: WebApplication) => void,
  environment = 'Production',
  configureBuilder: (builder: WebApplicationBuilder) => void = () => undefined,
): Promise<Running> {
  const builder = WebApplication.createBuilder({ environment });
  builder.server.listen({ host: '127.0.0.1', port: 0 });
  const reported: unknown[] = [];
  builder.onError = (error) => reported.push(error);
  configureBuilder(builder);
  const app = builder.build();
  configure(app);
  await app.start();
  t.teardown(() => app.stop(AbortSignal.abort()));
  return { app, url: app.addresses[0], reported };
}

test('middleware, branches, routes and the fallback', async (t) => {
  const { url } = await start(t, (app) => {
    app.use(async ({ response }, next) => {
      const begin = performance.now();
      response.onStarting(() => {
        response.headers.set('X-Took', (performance.now() - begin).toFixed(3));
      });
      await next();
    });
    app.map('/api', (api) => {
      api.use(({ request, response }, next) => {
        if (request.headers.has('X-Token')) return next();
        response.statusCode = 401;
        return response.json({ error: 'no token' });
      });
      api.get('/users/:id', ({ request, response }) =>
        response.json({ id: request.routeValues['id'], base: request.pathBase }),
      );
      api.post('/users', async ({ request, response }) => {
        const user = (await request.body.json()) as { name: string };
        response.statusCode = 201;
        response.headers.set('Location', `${request.pathBase}/users/${user.name}`);
        await response.json(user);
      });
    });
    app.get('/hello/:name', ({ request, response }) =>
      response.text(`Hello ${request.routeValues['name'] ?? ''}`),
    );
    app.get('/files/*', ({ request, response }) =>
      response.text(request.routeValues['*'] ?? 'none'),
    );
    app.fallback(({ response }) => {
      response.statusCode = 404;
      return response.text('nothing here');
    });
  });
  const token = { 'X-Token': 'a' };
  const hello = await fetch(`${url}/hello/gr%C3%BC%C3%9Fe`);
  t.is(await hello.text(), 'Hello grüße');
  t.regex(hello.headers.get('x-took') ?? '', /^[0-9.]+$/);
  t.is(await (await fetch(`${url}/files/a/b%20c`)).text(), 'a/b c');
  const head = await fetch(`${url}/hello/a`, { method: 'HEAD' });
  t.is(head.headers.get('content-length'), '7');
  t.is((await fetch(`${url}/api/users/5`)).status, 401);
  t.deepEqual(await (await fetch(`${url}/api/users/5?q`, { headers: token })).json(), {
    id: '5',
    base: '/api',
  });
  const made = await fetch(`${url}/api/users`, {
    method: 'POST',
    headers: token,
    body: '{"name":"ann"}',
  });
  t.is(made.status, 201);
  t.is(made.headers.get('location'), '/api/users/ann');
  t.is(
    (await fetch(`${url}/api/users`, { method: 'POST', headers: token, body: '{' })).status,
    400,
  );
  const missing = await fetch(`${url}/nowhere`);
  t.is(missing.status, 404);
  t.is(await missing.text(), 'nothing here');
});

test('404 and 405 where nobody answers', async (t) => {
  const { url } = await start(t, (app) => {
    app.get('/', ({ response }) => response.text('a'));
    app.post('/', ({ response }) => response.text('b'));
  });
  t.is((await fetch(`${url}/nowhere`)).status, 404);
  const wrong = await fetch(url, { method: 'DELETE' });
  t.is(wrong.status, 405);
  t.deepEqual((wrong.headers.get('allow') ?? '').split(', ').sort(), ['GET', 'HEAD', 'POST']);
});

test('failures answer 500 in production, and a page in development', async (t) => {
  const configure = (app: WebApplication): void => {
    app.get('/sync', () => {
      throw new Error('a secret');
    });
    app.get('/async', async () => {
      await delay(1);
      throw new Error('a secret');
    });
    app.get('/bad', () => {
      throw new BadHttpRequestError(418, 'no coffee here');
    });
    app.get('/begun', async ({ response }) => {
      await response.write('begun');
      throw new Error('a secret');
    });
  };
  const production = await start(t, configure);
  for (const path of ['/sync', '/async']) {
    const answer = await fetch(`${production.url}${path}`);
    t.is(answer.status, 500);
    t.false((await answer.text()).includes('secret'));
  }
  t.is((await fetch(`${production.url}/bad`)).status, 418);
  t.is(production.reported.length, 2);
  await t.throwsAsync(fetch(`${production.url}/begun`).then((answer) => answer.text()));

  const development = await start(t, configure, 'Development');
  const page = await fetch(`${development.url}/async`, { headers: { Accept: 'text/html' } });
  t.is(page.status, 500);
  t.is(page.headers.get('content-type'), 'text/html; charset=utf-8');
  t.true((await page.text()).includes('a secret'));
  const text = await fetch(`${development.url}/sync`);
  t.regex(await text.text(), /a secret/);
});

test('server-sent events end with the client, and with the application', async (t) => {
  let streams = 0;
  const { app, url } = await start(t, (application) => {
    application.get('/events', async ({ request, response }) => {
      streams++;
      response.contentType = 'text/event-stream';
      for (let i = 0; !request.aborted.aborted && !application.lifetime.stopping.aborted; i++) {
        await response.write(`data: ${String(i)}\n\n`);
        await delay(2);
      }
      streams--;
    });
  });
  const { port } = new URL(url);
  const listen = async (): Promise<RawClient> => {
    const client = await RawClient.connect(Number(port));
    void client.write('GET /events HTTP/1.1\r\nHost: h\r\n\r\n');
    await until(() => client.peek().includes('data: 3\n\n'), 'events arrive');
    return client;
  };
  const first = await listen();
  const second = await listen();
  t.is(streams, 2);
  await first.reset();
  await until(() => streams === 1, 'the first stream has ended');
  await within(app.stop(), 'the stop');
  const answer = await second.answer();
  t.is(answer.framing, 'chunked');
  t.is(answer.headers.get('content-type')?.[0], 'text/event-stream');
  t.is(streams, 0);
});

test('options of the builder reach the server', async (t) => {
  const { url } = await start(
    t,
    (app) =>
      app.post('/', async ({ request, response }) => response.text(await request.body.text())),
    'Production',
    (builder) => {
      builder.server.limits.maxRequestBodySize = 10;
      builder.server.addServerHeader = false;
      builder.server.busyPoll = false;
    },
  );
  const good = await fetch(url, { method: 'POST', body: '0123456789' });
  t.is(await good.text(), '0123456789');
  t.false(good.headers.has('server'));
  t.is((await fetch(url, { method: 'POST', body: '0123456789a' })).status, 413);
});

test('several URLs, and a bad one', async (t) => {
  const builder = WebApplication.createBuilder();
  builder.urls.add('http://127.0.0.1:0').add('http://127.0.0.1:0/');
  const app = builder.build();
  app.get('/', ({ response }) => response.text('a'));
  await app.start();
  t.teardown(() => app.stop());
  t.is(app.addresses.length, new Set(app.addresses).size);
  for (const url of app.addresses) t.is(await (await fetch(url)).text(), 'a');

  const bad = WebApplication.createBuilder();
  bad.urls.add('nonsense');
  await t.throwsAsync(bad.build().start(), { message: /nonsense/ });
  const limits = WebApplication.createBuilder();
  limits.urls.add('http://127.0.0.1:0');
  limits.server.limits.keepAliveTimeout = -5;
  await t.throwsAsync(limits.build().start(), { code: 'WH_ERR_INVALID_OPTION' });
});

test('start and stop, once each', async (t) => {
  const { app, url } = await start(t, (application) =>
    application.get('/', ({ response }) => response.text('a')),
  );
  t.true(app.server instanceof WindhoverServer);
  t.true(app.lifetime.started.aborted);
  await t.throwsAsync(app.start(), { code: 'WH_ERR_APPLICATION_STARTED' });
  t.is(await (await fetch(url)).text(), 'a');
  await Promise.all([app.stop(), app.stop()]);
  t.true(app.lifetime.stopped.aborted);
  await t.throwsAsync(RawClient.connect(Number(new URL(url).port)), { code: 'ECONNREFUSED' });
});

test('serve: the smallest program', async (t) => {
  const server = await serve({ urls: 'http://127.0.0.1:0' }, ({ response }) => {
    void response.text('Hello');
  });
  t.is(await (await fetch(server.addresses[0])).text(), 'Hello');
  await server.stop();
  await t.throwsAsync(fetch(server.addresses[0]));
});

/** Starts the application in a process of its own; its first lines tell where it listens. */
async function run(
  t: ExecutionContext,
): Promise<{ child: ReturnType<typeof startChild>; port: number; next: () => Promise<string> }> {
  const child = startChild(t, 'hosting/children/app.js');
  const next = (): Promise<string> => within(child.line(), 'a line of the application');
  const [, port] = /^Now listening on: http:\/\/127\.0\.0\.1:([0-9]+)$/.exec(await next()) ?? [];
  t.regex(await next(), /^Environment: /);
  return { child, port: Number(port), next };
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
  test(`run() ends with ${signal}, after the requests that run`, async (t) => {
    const { child, port, next } = await run(t);
    const client = await RawClient.connect(port);
    t.is((await client.request('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).text, 'Hello');
    const events = await RawClient.connect(port);
    void events.write('GET /events HTTP/1.1\r\nHost: h\r\n\r\n');
    t.is(await next(), 'events begin');
    const slow = await RawClient.connect(port);
    void slow.write('GET /slow HTTP/1.1\r\nHost: h\r\n\r\n');
    t.is(await next(), 'slow begins');
    child.process.kill(signal);
    t.is(await next(), 'stopping');
    const answer = await slow.answer();
    t.is(answer.text, 'slow');
    t.deepEqual(answer.headers.get('connection'), ['close']);
    t.is((await events.answer()).status, 200);
    t.is(await client.closed, 'end');
    const { code, output, errors } = await child.whenEnded();
    t.deepEqual({ code, output, errors }, { code: 0, output: ['stopped', 'ran'], errors: '' });
    for (const each of [client, events, slow]) each.destroy();
  });
}

test('a second signal ends the process at once', async (t) => {
  const { child, port, next } = await run(t);
  const client = await RawClient.connect(port);
  void client.write('GET /forever HTTP/1.1\r\nHost: h\r\n\r\n');
  t.is(await next(), 'forever begins');
  await until(() => client.received > 0, 'the answer has begun');
  child.process.kill('SIGTERM');
  t.is(await next(), 'stopping');
  child.process.kill('SIGTERM');
  const { code, signal, output } = await child.whenEnded();
  t.deepEqual({ code, signal, output }, { code: 143, signal: null, output: [] });
  await client.closed;
  client.destroy();
});

test('run() waits for hooks, and serves meanwhile; the process fails where a hook fails', async (t) => {
  for (const [mode, code, word] of [
    ['waits', 0, ''],
    ['fails', 1, 'no registry'],
  ] as const) {
    const child = startChild(t, 'hosting/children/hooks.js', { args: [mode] });
    const port = Number(/:(\d+)$/.exec(await within(child.line(), 'the address'))?.[1]);
    child.process.kill('SIGTERM');
    t.is(await within(child.line(), 'the hook'), 'hook begins');
    const client = await RawClient.connect(port);
    const answer = await client.request('GET /ready HTTP/1.1\r\nHost: h\r\n\r\n');
    t.is(answer.status, 503);
    t.false(answer.headers.has('connection'));
    child.process.stdin?.end('go on\n');
    const last = await client.request('GET /ready HTTP/1.1\r\nHost: h\r\n\r\n');
    t.is(last.status, 503);
    client.destroy();
    const end = await child.whenEnded();
    t.is(end.code, code, end.errors);
    t.true(end.errors.includes(word));
    t.deepEqual(end.output, code === 0 ? ['stopped', 'ran'] : ['stopped']);
  }
});
