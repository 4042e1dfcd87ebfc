/** Ready-made middleware on an application, with options from its configuration. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { WebApplicationBuilder } from '../../lib/hosting/web-application.js';
import { WebApplication } from '../../lib/hosting/web-application.js';
import { withRequestTimeout } from '../../lib/middleware/request-timeouts.js';
import { serverCertificate } from '../support/certificates.js';
import type { Seen } from '../support/echo.js';
import { echo } from '../support/echo.js';
import type { RawAnswer } from '../support/raw-client.js';
import { RawClient } from '../support/raw-client.js';
import { collectWarnings } from '../support/warnings.js';

/** A builder whose appsettings.json says that. */
function createBuilder(
  t: ExecutionContext,
  settings: object,
  args: readonly string[] = [],
): WebApplicationBuilder {
  const contentRoot = mkdtempSync(join(tmpdir(), 'windhover-middleware-'));
  t.teardown(() => {
    rmSync(contentRoot, { recursive: true });
  });
  writeFileSync(join(contentRoot, 'appsettings.json'), JSON.stringify(settings, null, 2));
  const builder = WebApplication.createBuilder({ contentRoot, args });
  builder.server.listen({ host: '127.0.0.1', port: 0 });
  return builder;
}

/** Starts it; the result sends a request line and field lines. */
async function start(
  t: ExecutionContext,
  builder: WebApplicationBuilder,
  configure: (app: WebApplication) => unknown,
): Promise<(target: string, ...lines: readonly string[]) => Promise<RawAnswer>> {
  const app = builder.build();
  configure(app);
  app.get('/', echo);
  await app.start();
  t.teardown(() => app.stop());
  const address = app.addresses.find((url) => url.startsWith('http://')) ?? '';
  const client = await RawClient.connect(Number(new URL(address).port));
  t.teardown(() => {
    client.destroy();
  });
  return (target, ...lines) => {
    const hasHost = lines.some((line) => line.startsWith('Host:'));
    const all = [`GET ${target} HTTP/1.1`, ...(hasHost ? [] : ['Host: h']), ...lines];
    return client.request(`${all.join('\r\n')}\r\n\r\n`);
  };
}

const seen = ({ text }: RawAnswer): Seen => JSON.parse(text) as Seen;

const PROXY = { KnownProxies: ['127.0.0.1'] };
const TOLD = ['X-Forwarded-For: 192.0.2.1, 10.0.0.1', 'X-Forwarded-Host: shop.example'];

test('forwarded headers: options of the configuration, and of code', async (t) => {
  const settings = {
    ForwardedHeaders: { ...PROXY, ForwardedHeaders: 'XForwardedFor, XForwardedHost' },
  };
  const ask = await start(t, createBuilder(t, settings), (app) => app.useForwardedHeaders());
  t.like(seen(await ask('/', ...TOLD)), { address: '10.0.0.1', host: 'shop.example' });
  const more = await start(t, createBuilder(t, settings), (app) =>
    app.useForwardedHeaders({
      knownNetworks: ['10.0.0.0/8'],
      forwardLimit: null,
      forwardedHeaders: undefined,
    }),
  );
  t.like(seen(await more('/', ...TOLD)), { address: '192.0.2.1', host: 'shop.example' });
});

test('forwarded headers without a call, where the configuration enables them', async (t) => {
  const settings = { ForwardedHeaders: { Enabled: true, ...PROXY } };
  const first = createBuilder(t, settings, [
    '--forwardedHeaders:forwardLimit=unlimited',
    '--forwardedHeaders:knownNetworks=10.0.0.0/8;fd00::/8',
  ]);
  const ask = await start(t, first, () => undefined);
  t.is(seen(await ask('/', ...TOLD)).address, '192.0.2.1');
  // It is there once: two would take two entries.
  const twice = await start(t, createBuilder(t, settings), (app) => app.useForwardedHeaders());
  t.is(seen(await twice('/', ...TOLD)).address, '10.0.0.1');
  const off = await start(t, createBuilder(t, { ForwardedHeaders: PROXY }), () => undefined);
  t.is(seen(await off('/', ...TOLD)).address, '127.0.0.1');
});

test('AllowedHosts filters without a call', async (t) => {
  for (const AllowedHosts of ['a.example;*.b.example', ['a.example', '*.b.example']]) {
    const ask = await start(t, createBuilder(t, { AllowedHosts }), () => undefined);
    t.is((await ask('/', 'Host: A.example:80')).status, 200);
    t.is((await ask('/', 'Host: x.b.example')).status, 200);
    t.is((await ask('/', 'Host: b.example')).status, 400);
    t.is((await ask('/none', 'Host: b.example')).status, 400);
  }
  const open = await start(t, createBuilder(t, { AllowedHosts: '*' }), () => undefined);
  t.is((await open('/', 'Host: b.example')).status, 200);
  const settings = { AllowedHosts: 'a', HostFiltering: { IncludeFailureMessage: false } };
  const quiet = await start(t, createBuilder(t, settings), (app) => app.useHostFiltering());
  t.is((await quiet('/')).text, '');
  const code = await start(t, createBuilder(t, settings), (app) =>
    app.useHostFiltering({ allowedHosts: ['h'] }),
  );
  t.is((await code('/')).status, 200);
});

test('the host that a proxy tells is not filtered: allowedHosts of ForwardedHeaders is for that', async (t) => {
  const settings = {
    AllowedHosts: 'h',
    ForwardedHeaders: {
      Enabled: true,
      ...PROXY,
      ForwardedHeaders: ['XForwardedHost'],
      AllowedHosts: '*.example',
    },
  };
  const ask = await start(t, createBuilder(t, settings), () => undefined);
  t.is(seen(await ask('/', 'X-Forwarded-Host: shop.example')).host, 'shop.example');
  t.is(seen(await ask('/', 'X-Forwarded-Host: shop.test')).host, 'h');
});

test('redirection to https: the port of the configuration', async (t) => {
  for (const settings of [
    { https_port: 8443 },
    { HttpsPort: '8443' },
    { HttpsRedirection: { HttpsPort: 8443 }, HttpsPort: 1 },
  ]) {
    const ask = await start(t, createBuilder(t, settings), (app) => app.useHttpsRedirection());
    const { status, headers } = await ask('/a?b');
    t.is(status, 307);
    t.deepEqual(headers.get('location'), ['https://h:8443/a?b']);
  }
});

test('redirection to https: the port of the server itself', async (t) => {
  const builder = createBuilder(t, { HttpsRedirection: { RedirectStatusCode: 308 } });
  const { cert, key } = serverCertificate();
  builder.server.listen({ host: '127.0.0.1', port: 0, https: { cert, key } });
  let port = '';
  const ask = await start(t, builder, (app) => {
    app.lifetime.started.addEventListener('abort', () => {
      port = new URL(app.addresses.find((url) => url.startsWith('https:')) ?? '').port;
    });
    return app.useHttpsRedirection();
  });
  const { status, headers } = await ask('/');
  t.is(status, 308);
  t.deepEqual(headers.get('location'), [`https://h:${port}/`]);
});

test('HSTS', async (t) => {
  const settings = {
    Hsts: { MaxAge: '1d', Preload: true },
    ForwardedHeaders: { Enabled: true, ...PROXY },
  };
  const ask = await start(t, createBuilder(t, settings), (app) =>
    app.useHsts({ includeSubDomains: true }),
  );
  const { headers } = await ask('/', 'X-Forwarded-Proto: https');
  t.deepEqual(headers.get('strict-transport-security'), [
    'max-age=86400; includeSubDomains; preload',
  ]);
  t.false((await ask('/')).headers.has('strict-transport-security'));
});

test('health checks', async (t) => {
  const builder = createBuilder(t, {});
  let status: 'healthy' | 'unhealthy' = 'healthy';
  builder.healthChecks.add('db', () => status, { tags: ['ready'] });
  const ask = await start(t, builder, (app) => {
    t.is(app.healthChecks, builder.healthChecks);
    return app
      .mapHealthChecks('/healthz')
      .mapHealthChecks('/livez', { tags: [] })
      .mapHealthChecks('/readyz', { tags: ['ready'], responseWriter: 'json' });
  });
  t.is((await ask('/healthz')).text, 'Healthy');
  status = 'unhealthy';
  const bad = await ask('/healthz');
  t.is(bad.status, 503);
  t.is(bad.text, 'Unhealthy');
  t.is((await ask('/livez')).text, 'Healthy');
  t.like(JSON.parse((await ask('/readyz')).text), { status, entries: { db: { status } } });
});

test('request timeouts', async (t) => {
  const slow = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));
  const ask = await start(t, createBuilder(t, {}), (app) =>
    app
      .useRequestTimeouts({ defaultPolicy: 20, policies: { long: 10_000 } })
      .get('/slow', slow)
      .get('/long', withRequestTimeout('long', slow)),
  );
  t.is((await ask('/slow')).status, 504);
  t.is((await ask('/long')).status, 200);
});

for (const [settings, use, message] of [
  [
    { ForwardedHeaders: { KnownProxies: ['::1', '10.0.0.0/8'] } },
    (app) => app.useForwardedHeaders(),
    /forwardedHeaders\.knownProxies\[1\]' must be an IP address or 'unix', not '10\.0\.0\.0\/8'; it is set to '::1' by appsettings\.json:4/,
  ],
  [
    { ForwardedHeaders: { ForwardLimit: 0 } },
    (app) => app.useForwardedHeaders(),
    /forwardLimit' .*, not 0; it is set to 0 by appsettings\.json:3/,
  ],
  [
    { ForwardedHeaders: { KnownProxy: 'a' } },
    (app) => app.useForwardedHeaders(),
    /no option 'forwardedHeaders\.KnownProxy', set to 'a' by appsettings\.json:3; did you mean 'knownProxies'\?/,
  ],
  [
    { ForwardedHeaders: 'on' },
    (app) => app.useForwardedHeaders(),
    /'forwardedHeaders' must be an object; it is set to 'on'/,
  ],
  [
    { AllowedHosts: 'http://a' },
    (app) => app.useHostFiltering(),
    /not 'http:\/\/a'; it is set to 'http:\/\/a' by appsettings\.json:2/,
  ],
  [{ Hsts: { MaxAge: 'long' } }, (app) => app.useHsts(), /hsts\.maxAge' .*, not 'long'; it is set/],
  [
    { https_port: 'x' },
    (app) => app.useHttpsRedirection(),
    /httpsPort' .*, not 'x'; it is set to 'x' by appsettings\.json:2/,
  ],
] as [object, (app: WebApplication) => unknown, RegExp][]) {
  test(`a mistake in the configuration: ${JSON.stringify(settings)}`, (t) => {
    const app = createBuilder(t, settings).build();
    t.throws(() => use(app), { code: 'WH_ERR_INVALID_OPTION', message });
  });
}

test('a mistake in what needs no call fails the start', async (t) => {
  await t.throwsAsync(createBuilder(t, { AllowedHosts: 'a b' }).build().start(), {
    code: 'WH_ERR_INVALID_OPTION',
    message: /not 'a b'/,
  });
  const settings = { ForwardedHeaders: { Enabled: 'maybe' } };
  await t.throwsAsync(createBuilder(t, settings).build().start(), {
    code: 'WH_ERR_INVALID_CONFIGURATION',
  });
});

test.serial('the keys are known: no warning takes them for slips', async (t) => {
  const warnings = collectWarnings(t);
  createBuilder(t, {}, [
    '--allowedHosts=*',
    '--https_port=1',
    '--forwardedHeaders:enabled=true',
    '--hsts:preload=true',
    '--httpsRedirection:httpsPort=1',
    '--hostFiltering:allowEmptyHosts=true',
  ]);
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(warnings, []);
});
