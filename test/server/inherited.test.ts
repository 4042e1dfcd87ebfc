/** Sockets that somebody else opened, and ports that several processes share. */
import type { StdioOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import type { AddressInfo, Server } from 'node:net';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { EndpointOptions } from '../../lib/server/options.js';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { passedSockets } from '../../lib/server/windhover/systemd.js';
import { Child } from '../support/child.js';
import { RawClient } from '../support/raw-client.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
const application = createApplication(({ response }) => response.text('own'));

interface Told {
  readonly addresses?: readonly string[];
  readonly pid?: number;
  readonly code?: string;
  readonly message?: string;
}

/** Starts a server in a process of its own that inherits these handles and descriptors from 3 on. */
async function inherit(
  t: ExecutionContext,
  endpoints: readonly EndpointOptions[],
  inherited: readonly (Server | number)[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ child: Child; told: Told }> {
  const file = join(dirname(fileURLToPath(import.meta.url)), 'children/listen.js');
  const more = inherited.map((entry) => (typeof entry === 'number' ? entry : descriptorOf(entry)));
  const stdio: StdioOptions = ['pipe', 'pipe', 'pipe', ...more];
  const process_ = spawn(process.execPath, [file, JSON.stringify(endpoints)], {
    env: { ...process.env, ...env },
    stdio,
  });
  t.teardown(() => process_.kill('SIGKILL'));
  const child = new Child(process_);
  return { child, told: JSON.parse(await child.line()) as Told };
}

function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

/** A listening socket of this process. */
async function openSocket(
  t: ExecutionContext,
  target: { path: string } | { port: number },
): Promise<Server> {
  const server = createServer();
  server.listen({ ...target, ...('port' in target ? { host: '127.0.0.1' } : {}) });
  await once(server, 'listening');
  t.teardown(() => server.close());
  return server;
}

async function ask(target: number | { path: string }): Promise<string> {
  const client = await RawClient.connect(target);
  try {
    return (await client.request(GET)).text;
  } finally {
    client.destroy();
  }
}

/** A port that is free, and taken only by who says reusePort. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('two processes share a port with reusePort', async (t) => {
  const port = await freePort();
  const endpoints = [{ host: '127.0.0.1', port, reusePort: true }];
  const first = await inherit(t, endpoints, []);
  const second = await inherit(t, endpoints, []);
  t.deepEqual(first.told.addresses, [`http://127.0.0.1:${String(port)}`], first.told.message);
  t.deepEqual(second.told.addresses, first.told.addresses, second.told.message);
  const seen = new Set<string>();
  for (let i = 0; i < 200 && seen.size < 2; i++) seen.add(await ask(port));
  t.deepEqual([...seen].map(Number).sort(), [first.told.pid, second.told.pid].sort() as number[]);
  // One that goes leaves the port to the other.
  first.child.process.stdin?.end();
  t.is((await first.child.whenEnded()).code, 0);
  for (let i = 0; i < 20; i++) t.is(await ask(port), String(second.told.pid));
  // Who does not say it is refused.
  const third = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port }] });
  await t.throwsAsync(third.start(application), { code: 'WH_ERR_ADDRESS_IN_USE' });
});

test('an inherited TCP socket is served', async (t) => {
  const socket = await openSocket(t, { port: 0 });
  const { port } = socket.address() as AddressInfo;
  const { child, told } = await inherit(t, [{ fd: 3 }], [socket]);
  t.deepEqual(told.addresses, [`http://127.0.0.1:${String(port)}`], told.message);
  socket.close(); // from now on only the child can accept
  await once(socket, 'close');
  for (let i = 0; i < 5; i++) t.is(await ask(port), String(told.pid));
  child.process.stdin?.end();
  t.is((await child.whenEnded()).code, 0);
});

test('a descriptor stays open when the server on it stops, and its socket file is left', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'windhover-inherited-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const path = join(folder, 'a.sock');
  const own = new WindhoverServer({ endpoints: [{ path }] });
  t.teardown(() => own.stop());
  await own.start(application);
  const answers = createApplication(({ response }) => response.text('second'));
  const second = new WindhoverServer({ endpoints: [{ fd: findListening(path) }] });
  t.teardown(() => second.stop());
  await second.start(answers);
  // The name that it was bound by, which need not be its last one.
  t.true(second.addresses[0].startsWith(`http://unix:${path}`), second.addresses[0]);
  await second.stop();
  t.true(existsSync(path));
  for (let i = 0; i < 5; i++) t.is(await ask({ path }), 'own');
});

/** The descriptor of this process's listening socket at a path, as Linux tells it. */
function findListening(path: string): number {
  const line = readFileSync('/proc/net/unix', 'latin1')
    .split('\n')
    .find((candidate) => candidate.includes(path));
  const inode = line?.trim().split(/\s+/)[6] ?? '';
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) === `socket:[${inode}]`) return Number(fd);
    } catch {
      // It was closed meanwhile.
    }
  }
  throw new Error('there is no such descriptor');
}

test('what is no listening socket is refused, and named', async (t) => {
  const file = openSync('/dev/null', 'r');
  const { told } = await inherit(t, [{ fd: 3 }], [file]);
  t.is(told.code, 'WH_ERR_ADDRESS_INVALID');
  t.regex(told.message ?? '', /^endpoints\[0\]: cannot listen on descriptor 3: it is no socket$/);

  const closed = await inherit(t, [{ fd: 77 }], []);
  t.is(closed.told.code, 'WH_ERR_ADDRESS_INVALID');
  t.regex(closed.told.message ?? '', /descriptor 77: it is not open$/);

  const peer = createServer().listen(0, '127.0.0.1');
  await once(peer, 'listening');
  const { port } = peer.address() as AddressInfo;
  const client = await RawClient.connect(port);
  const { fd } = (client.socket as unknown as { _handle: { fd: number } })._handle;
  const connected = await inherit(t, [{ fd: 3 }], [fd]);
  t.is(connected.told.code, 'WH_ERR_ADDRESS_INVALID');
  t.regex(connected.told.message ?? '', /descriptor 3: the socket does not listen/);
  client.destroy();
  peer.close();
});

test('systemd: sockets for this process, all of them or by name', async (t) => {
  const sockets = [await openSocket(t, { port: 0 }), await openSocket(t, { port: 0 })];
  const urls = sockets.map((socket) => {
    const { port } = socket.address() as AddressInfo;
    return `http://127.0.0.1:${String(port)}`;
  });
  const env = { LISTEN_PID: 'own', LISTEN_FDS: '2', LISTEN_FDNAMES: 'public:admin' };
  const all = await inherit(t, [{ systemd: true }], sockets, env);
  t.deepEqual(all.told.addresses, urls, all.told.message);
  const admin = await inherit(t, [{ systemd: 'admin' }], sockets, env);
  t.deepEqual(admin.told.addresses, [urls[1]], admin.told.message);
  const none = await inherit(t, [{ systemd: 'other' }], sockets, env);
  t.is(none.told.code, 'WH_ERR_ADDRESS_NOT_AVAILABLE');
  t.regex(none.told.message ?? '', /endpoints\[0\]\.systemd.*'other'.*'public', 'admin'/);
});

test('systemd: variables of another process do not count, and nothing else is listened on', async (t) => {
  const socket = await openSocket(t, { port: 0 });
  for (const env of [
    { LISTEN_PID: '1', LISTEN_FDS: '1' },
    { LISTEN_PID: 'own', LISTEN_FDS: '0' },
    { LISTEN_PID: 'own', LISTEN_FDS: 'one' },
    {},
  ]) {
    const { told } = await inherit(t, [{ systemd: true }], [socket], env);
    t.is(told.code, 'WH_ERR_ADDRESS_NOT_AVAILABLE', told.message);
    t.is(told.addresses, undefined);
  }
});

test('systemd: how the variables are read', (t) => {
  const read = (fds: string, names?: string): unknown =>
    passedSockets({ LISTEN_PID: '5', LISTEN_FDS: fds, LISTEN_FDNAMES: names }, 5);
  t.deepEqual(read('2', 'a:b'), [
    { fd: 3, name: 'a' },
    { fd: 4, name: 'b' },
  ]);
  t.deepEqual(read('2', 'a'), [
    { fd: 3, name: 'a' },
    { fd: 4, name: 'unknown' },
  ]);
  t.deepEqual(read('1'), [{ fd: 3, name: 'unknown' }]);
  for (const bad of ['', '0', '-1', '1.5', ' 1', '99999', 'x']) t.deepEqual(read(bad), []);
  t.deepEqual(passedSockets({ LISTEN_PID: '05', LISTEN_FDS: '1' }, 5), []);
});

test('one descriptor cannot be two endpoints', async (t) => {
  const server = new WindhoverServer({ endpoints: [{ fd: 3 }, { fd: 3 }] });
  await t.throwsAsync(server.start(application), {
    code: 'WH_ERR_INVALID_OPTION',
    message: /endpoints\[1\].*descriptor 3.*endpoints\[0\]/,
  });
});
