import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { ServerAddressesFeature } from '../../lib/features/server-features.js';
import type { EndpointOptions } from '../../lib/server/options.js';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { RawClient } from '../support/raw-client.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

/** Answers with the ends of the connection. */
const application = createApplication(({ connection, response }) =>
  response.json([
    connection.localAddress ?? 'none',
    connection.localPort,
    connection.remoteAddress ?? 'none',
    connection.remotePort,
  ]),
);

async function start(
  t: ExecutionContext,
  ...endpoints: readonly EndpointOptions[]
): Promise<WindhoverServer> {
  const server = new WindhoverServer({ endpoints: [...endpoints] });
  await server.start(application);
  t.teardown(() => server.stop(AbortSignal.abort()));
  return server;
}

/** What the server says to a client about the connection's ends. */
async function ask(target: Parameters<typeof RawClient.connect>[0]): Promise<{
  told: unknown[];
  client: RawClient;
}> {
  const client = await RawClient.connect(target);
  const answer = await client.request(GET);
  client.destroy();
  return { told: JSON.parse(answer.text) as unknown[], client };
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}

const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'windhover-'));
  t.teardown(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

test('an IPv4 endpoint tells the port that it got, and the ends of connections', async (t) => {
  const server = await start(t, { host: '127.0.0.1', port: 0 });
  const [url, ...others] = server.addresses;
  t.deepEqual(others, []);
  t.regex(url, /^http:\/\/127\.0\.0\.1:[1-9][0-9]*$/);
  t.is(server.features.get(ServerAddressesFeature)?.addresses[0], url);
  const socket = await RawClient.connect({ host: '127.0.0.1', port: portOf(url) });
  const answer = await socket.request(GET);
  t.deepEqual(JSON.parse(answer.text), [
    '127.0.0.1',
    portOf(url),
    '127.0.0.1',
    socket.socket.localPort,
  ]);
  socket.destroy();
});

(hasIpv6 ? test : test.skip)('an IPv6 endpoint', async (t) => {
  const server = await start(t, { host: '::1', port: 0 });
  const [url] = server.addresses;
  t.regex(url, /^http:\/\/\[::1\]:[1-9][0-9]*$/);
  const { told } = await ask({ host: '::1', port: portOf(url) });
  t.deepEqual(told.slice(0, 3), ['::1', portOf(url), '::1']);
});

(hasIpv6 ? test : test.skip)('localhost listens on both loopbacks, on one port', async (t) => {
  for (const endpoint of [
    { url: 'http://localhost:0' },
    { host: 'localhost', port: 0 },
    { port: 0 },
  ]) {
    const server = await start(t, endpoint);
    const [url, ...others] = server.addresses;
    t.deepEqual(others, []);
    t.regex(url, /^http:\/\/localhost:[1-9][0-9]*$/);
    t.is((await ask({ host: '127.0.0.1', port: portOf(url) })).told[0], '127.0.0.1');
    t.is((await ask({ host: '::1', port: portOf(url) })).told[0], '::1');
  }
});

test('a wildcard listens on every address', async (t) => {
  for (const endpoint of [{ url: 'http://*:0' }, { host: '*', port: 0 }, { url: 'http://+:0' }]) {
    const server = await start(t, endpoint);
    const [url] = server.addresses;
    t.regex(url, /^http:\/\/(\[::\]|0\.0\.0\.0):[1-9][0-9]*$/);
    // An IPv4 client of an IPv6 socket has an IPv4 address all the same.
    const { told } = await ask({ host: '127.0.0.1', port: portOf(url) });
    t.deepEqual(told.slice(0, 3), ['127.0.0.1', portOf(url), '127.0.0.1']);
  }
});

test('many endpoints on one server', async (t) => {
  const path = join(folder(t), 'app.sock');
  const tcp = Array.from({ length: 10 }, () => ({ host: '127.0.0.1', port: 0 }));
  const server = await start(t, ...tcp, { path }, { url: 'http://127.0.0.1:0' });
  t.is(server.addresses.length, 12);
  t.is(new Set(server.addresses).size, 12);
  t.is(server.addresses[10], `http://unix:${path}`);
  for (const url of server.addresses) {
    const target = url.includes('unix:') ? { path } : { host: '127.0.0.1', port: portOf(url) };
    const { told } = await ask(target);
    t.is(told[1], url.includes('unix:') ? 0 : portOf(url));
  }
  await server.stop();
  t.deepEqual(existsSync(path), false);
  for (const url of server.addresses.filter((each) => !each.includes('unix:'))) {
    await t.throwsAsync(RawClient.connect(portOf(url)), { code: 'ECONNREFUSED' });
  }
});

test('URLs in ServerAddressesFeature are listened on where there are no endpoints', async (t) => {
  const server = new WindhoverServer();
  server.features.get(ServerAddressesFeature)?.addresses.push('http://127.0.0.1:0');
  await server.start(application);
  t.teardown(() => server.stop());
  t.is(server.addresses.length, 1);
  t.true(portOf(server.addresses[0]) > 0);
  t.is((await ask(portOf(server.addresses[0]))).told[1], portOf(server.addresses[0]));
});

test('a port that is taken fails the start with WH_ERR_ADDRESS_IN_USE, naming the endpoint', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const { port } = other.address() as AddressInfo;
  for (const endpoint of [
    { host: '127.0.0.1', port },
    { url: `http://127.0.0.1:${String(port)}` },
    { host: 'localhost', port },
  ]) {
    const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }, endpoint] });
    const error = await t.throwsAsync(server.start(application), {
      code: 'WH_ERR_ADDRESS_IN_USE',
    });
    t.true(error.message.includes(String(port)), error.message);
    t.deepEqual(server.addresses, []);
  }
  const first = await start(t, { host: '127.0.0.1', port: 0 });
  const second = new WindhoverServer({
    endpoints: [{ host: '127.0.0.1', port: portOf(first.addresses[0]) }],
  });
  await t.throwsAsync(second.start(application), { code: 'WH_ERR_ADDRESS_IN_USE' });
  // The one that was there is not disturbed.
  t.is((await ask(portOf(first.addresses[0]))).told[0], '127.0.0.1');
});

test('a port is free again after the stop, at once', async (t) => {
  const first = await start(t, { host: '127.0.0.1', port: 0 });
  const port = portOf(first.addresses[0]);
  const client = await RawClient.connect(port);
  t.is((await client.request(GET)).status, 200);
  await first.stop();
  const second = await start(t, { host: '127.0.0.1', port });
  t.is(portOf(second.addresses[0]), port);
  t.is((await ask(port)).told[1], port);
  client.destroy();
});

test('a Unix socket: mode, ends of connections, gone after the stop', async (t) => {
  const path = join(folder(t), 'app.sock');
  for (const mode of [0o600, 0o660, 0o666]) {
    const server = await start(t, { path, mode });
    t.deepEqual(server.addresses, [`http://unix:${path}`]);
    t.true(statSync(path).isSocket());
    t.is(statSync(path).mode & 0o777, mode);
    t.deepEqual((await ask({ path })).told, ['none', 0, 'none', 0]);
    await server.stop();
    t.false(existsSync(path));
  }
});

test('a Unix socket by URL', async (t) => {
  const path = join(folder(t), 'app.sock');
  const server = await start(t, { url: `http://unix:${path}` });
  t.deepEqual(server.addresses, [`http://unix:${path}`]);
  t.is((await ask({ path })).told[1], 0);
});

(process.getuid?.() === 0 ? test : test.skip)('a Unix socket gets its owner', async (t) => {
  const path = join(folder(t), 'app.sock');
  await start(t, { path, owner: { uid: 12_345, gid: 23_456 } });
  t.is(statSync(path).uid, 12_345);
  t.is(statSync(path).gid, 23_456);
});

test('a stale socket file is replaced; a live one and another file are left alone', async (t) => {
  const path = join(folder(t), 'app.sock');
  // A process that ends without a word leaves its socket behind.
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  const child = spawn(process.execPath, ['-e', script]);
  await once(child, 'exit');
  t.true(existsSync(path));
  const server = await start(t, { path });
  t.is((await ask({ path })).told[1], 0);

  const second = new WindhoverServer({ endpoints: [{ path }] });
  const error = await t.throwsAsync(second.start(application), { code: 'WH_ERR_ADDRESS_IN_USE' });
  t.true(error.message.includes(path), error.message);
  t.is((await ask({ path })).told[1], 0);
  await server.stop();

  writeFileSync(path, 'not a socket');
  const third = new WindhoverServer({ endpoints: [{ path }] });
  await t.throwsAsync(third.start(application), { code: 'WH_ERR_ADDRESS_IN_USE' });
  t.true(existsSync(path));
});

test('the file of another server that took the path over is left alone at the stop', async (t) => {
  const path = join(folder(t), 'app.sock');
  const first = await start(t, { path });
  rmSync(path);
  await start(t, { path });
  await first.stop();
  t.true(existsSync(path));
  t.is((await ask({ path })).told[1], 0);
});
