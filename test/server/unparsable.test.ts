/** An address or option that cannot be understood fails the start, and nothing is listened on instead. */
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { EndpointOptions, ServerOptions } from '../../lib/server/options.js';
import { createApplication } from '../../lib/server/server.js';
import { ServerAddressesFeature } from '../../lib/features/server-features.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';

const application = createApplication(({ response }) => response.text('a'));

/** Expects the start to fail with the value in the message, and that nothing is bound. */
async function refuses(
  t: ExecutionContext,
  endpoint: EndpointOptions,
  code: string,
  ...parts: readonly string[]
): Promise<void> {
  const first = { host: '127.0.0.1', port: 0 };
  const server = new WindhoverServer({ endpoints: [first, endpoint] });
  const error = await t.throwsAsync(server.start(application), { code }, JSON.stringify(endpoint));
  for (const part of ['endpoints[1]', ...parts]) {
    t.true(error.message.includes(part), `${error.message} does not say ${part}`);
  }
  t.deepEqual([...server.addresses], []);
  t.throws(() => server.metrics().connections.toFixed(-1)); // there is no native server behind it
}

const URLS: readonly (readonly [url: string, why: string])[] = [
  ['http://127.0.0.1:abc', 'the port is no number'],
  ['http://127.0.0.1:5000?x', 'query'],
  ['http://127.0.0.1:5000#x', 'fragment'],
  ['http://unix:rel.sock', 'absolute'],
  ['http://unix:', 'missing'],
  ['http://unix', 'path'],
  [' http://127.0.0.1:5000', 'blank'],
  ['http://127.0.0.1:5000 ', 'blank'],
  ['http://127.0. 0.1:5000', 'blank'],
  ['http://127.0.0.1:65536', 'greater than 65535'],
  ['http://127.0.0.1:-1', 'the port is no number'],
  ['http://127.0.0.1:', 'port'],
  ['http://user@127.0.0.1:5000', 'user'],
  ['http://user:pw@127.0.0.1:5000', 'user'],
  ['http://127.0.0.1:5000/app', 'path'],
  ['ftp://127.0.0.1:5000', 'scheme'],
  ['127.0.0.1:5000', 'http://'],
  ['http//127.0.0.1:5000', 'http://'],
  ['http:/127.0.0.1:5000', 'http://'],
  ['localhost', 'http://'],
  ['', 'empty'],
  ['http://', 'host'],
  ['http://:5000', 'host'],
  ['http://127.0.0.256:5000', 'IPv4'],
  ['http://1.2.3:5000', 'IPv4'],
  ['http://[::1:5000', 'bracket'],
  ['http://::1:5000', 'bracket'],
  ['http://[::1]5000', 'port'],
  ['http://exa mple:5000', 'blank'],
  ['http://pipe:/name', 'pipes'],
];

for (const [url, why] of URLS) {
  test(`the URL ${JSON.stringify(url)} is refused`, async (t) => {
    await refuses(t, { url }, 'WH_ERR_ADDRESS_INVALID', url, why);
  });
}

test('the same address twice is in use', async (t) => {
  const first = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }] });
  await first.start(application);
  const port = Number(new URL(first.addresses[0]).port);
  await first.stop();
  const url = `http://127.0.0.1:${String(port)}`;
  const server = new WindhoverServer({ endpoints: [{ url }, { host: '127.0.0.1', port }] });
  const error = await t.throwsAsync(server.start(application), { code: 'WH_ERR_ADDRESS_IN_USE' });
  t.true(error.message.startsWith('endpoints[1]'), error.message);
  t.true(error.message.includes(url), error.message);
  // And the first one is not left listening.
  const again = new WindhoverServer({ endpoints: [{ url }] });
  await again.start(application);
  await again.stop();
});

test('addresses that were asked for by their feature are named too', async (t) => {
  const server = new WindhoverServer();
  server.features.get(ServerAddressesFeature)?.addresses.push('http://127.0.0.1:x');
  const error = await t.throwsAsync(server.start(application), { code: 'WH_ERR_ADDRESS_INVALID' });
  t.true(error.message.includes('addresses[0]') && error.message.includes('http://127.0.0.1:x'));
});

test('networks that cannot be understood are refused with the entry', async (t) => {
  const bad = ['10.0.0.1/8', '10.0.0.0/33', 'localhost', '10.0.0', '*', '::1/129'];
  for (const entry of bad) {
    const list = ['127.0.0.1', entry];
    const code = 'WH_ERR_INVALID_OPTION';
    await refuses(t, { port: 0, allow: list }, code, 'allow', entry);
    await refuses(t, { port: 0, deny: list }, code, 'deny', entry);
    const proxyProtocol = { trusted: list };
    await refuses(t, { port: 0, proxyProtocol }, code, 'proxyProtocol.trusted', entry);
  }
});

const OPTIONS: readonly (readonly [endpoint: unknown, ...parts: string[]])[] = [
  [{ port: 0, backlog: 0 }, 'endpoints[0].backlog', 'from 1 to 65535', '0'],
  [{ port: 0, backlog: '5' }, 'endpoints[0].backlog', "'5'"],
  [{ port: 0, noDelay: 1 }, 'endpoints[0].noDelay', '1'],
  [{ port: 0, reusePort: 'yes' }, 'endpoints[0].reusePort', "'yes'"],
  [{ path: '/a', reusePort: true }, 'endpoints[0].reusePort'],
  [{ path: '/a', noDelay: true }, 'endpoints[0].noDelay'],
  [{ path: '/a', mode: 0o1000 }, 'endpoints[0].mode', '0o777', '0o1000'],
  [{ path: '/a', mode: '660' }, 'endpoints[0].mode', '0o777', "'660'"],
  [{ fd: -1 }, 'endpoints[0].fd', '-1'],
  [{ fd: 1.5 }, 'endpoints[0].fd', '1.5'],
  [{ fd: '3' }, 'endpoints[0].fd', "'3'"],
  [{ fd: 3, backlog: 5 }, 'endpoints[0].backlog'],
  [{ fd: 3, port: 0 }, 'endpoints[0]'],
  [{ systemd: false }, 'endpoints[0].systemd', 'false'],
  [{ systemd: '' }, 'endpoints[0].systemd', "''"],
  [{ port: 0, allow: '10.0.0.0/8' }, 'endpoints[0].allow', "'10.0.0.0/8'"],
  [{ port: 0, allow: [5] }, 'endpoints[0].allow[0]', '5'],
  [{ port: 0, allow: ['a b'] }, 'endpoints[0].allow[0]', "'a b'"],
  [{ port: 0, deny: [''] }, 'endpoints[0].deny[0]', "''"],
  [{ port: 0, proxyProtocol: true }, 'endpoints[0].proxyProtocol', 'true'],
  [{ port: 0, proxyProtocol: {} }, 'endpoints[0].proxyProtocol.trusted', 'undefined'],
  [{ port: 0, proxyProtocol: { trusted: '::1' } }, 'endpoints[0].proxyProtocol.trusted', "'::1'"],
  [{ port: 0, proxyProtocol: { trusted: [], required: 1 } }, 'proxyProtocol.required', '1'],
  [{ port: 0, proxyProtocol: { trusted: [], need: 1 } }, 'proxyProtocol.need'],
  [{ port: 0, use: {} }, 'endpoints[0].use', 'an object'],
  [{ port: 0, use: [() => true] }, 'endpoints[0].use[0]', 'a function'],
  [{ port: 0, use: [{ filter: true }] }, 'endpoints[0].use[0].filter', 'true'],
];

test('settings of endpoints are checked when the server is made', (t) => {
  for (const [endpoint, ...parts] of OPTIONS) {
    const make = (): unknown => new WindhoverServer({ endpoints: [endpoint as EndpointOptions] });
    const error = t.throws(make, { code: 'WH_ERR_INVALID_OPTION' }, JSON.stringify(endpoint));
    for (const part of parts) t.true(error.message.includes(part), `${error.message}: ${part}`);
  }
});

test('options about connections are checked when the server is made', (t) => {
  for (const [options, ...parts] of [
    [{ connectionLimitResponse: 503 }, 'connectionLimitResponse', '503'],
    [{ onAcceptPaused: true }, 'onAcceptPaused', 'true'],
    [{ onAcceptResumed: 'a' }, 'onAcceptResumed', "'a'"],
    [{ endpointDefaults: 5 }, 'endpointDefaults', '5'],
    [{ endpointDefaults: { port: 5 } }, 'endpointDefaults.port'],
    [{ endpointDefaults: { backlog: 0 } }, 'endpointDefaults.backlog', '0'],
    [{ limits: { maxConcurrentConnections: 0 } }, 'limits.maxConcurrentConnections', '0'],
    [{ limits: { connectionLimitRetryAfter: -1 } }, 'limits.connectionLimitRetryAfter', '-1'],
  ] as const) {
    const make = (): unknown => new WindhoverServer(options as unknown as ServerOptions);
    const error = t.throws(make, { code: 'WH_ERR_INVALID_OPTION' }, JSON.stringify(options));
    for (const part of parts) t.true(error.message.includes(part), `${error.message}: ${part}`);
  }
});
