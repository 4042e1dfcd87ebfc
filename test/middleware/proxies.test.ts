/**
 * An application behind nginx, HAProxy and httpd, over TCP and by a Unix socket: what it knows of its clients
 * is right, WebSockets pass, large bodies pass both ways. The proxies run with the files of docs/proxies/,
 * which are those of docs/behind-a-proxy.md.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders, RequestOptions } from 'node:http';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { WebSocket, WebSocketServer } from 'ws';
import { acceptWebSocket } from '../../lib/adapters/websocket.js';
import { WebApplication } from '../../lib/hosting/web-application.js';
import { readDocument } from '../docs/markdown.js';
import type { Seen } from '../support/echo.js';
import { echo } from '../support/echo.js';
import type { Backend, ProxyName, RunningProxy } from '../support/proxies.js';
import {
  CONFIGURATIONS,
  findProxy,
  PROXIES,
  readConfiguration,
  startProxy,
} from '../support/proxies.js';

/** From where the client connects: neither the proxy nor the server is there. */
const CLIENT = '127.0.0.5';

/** More than any buffer on the way (bytes). */
const LARGE = 12_000_000;

const HOST = 'shop.example:8080';

/** What a client may try. */
const LIES = {
  'X-Forwarded-For': '6.6.6.6',
  'X-Forwarded-Proto': 'ftp',
  'X-Forwarded-Host': 'evil.example',
  'X-Original-For': '6.6.6.6:1',
  Forwarded: 'for=6.6.6.6;host=evil.example',
};

async function startApplication(t: ExecutionContext, kind: 'tcp' | 'unix'): Promise<Backend> {
  const builder = WebApplication.createBuilder({ environment: 'Production' });
  const folder = mkdtempSync(join(tmpdir(), 'windhover-behind-'));
  chmodSync(folder, 0o755);
  const path = join(folder, 'app.sock');
  builder.server.listen(kind === 'tcp' ? { host: '127.0.0.1', port: 0 } : { path, mode: 0o666 });
  const app = builder.build();
  const sockets = new WebSocketServer({ noServer: true });
  app.useForwardedHeaders({ knownProxies: kind === 'tcp' ? ['127.0.0.1'] : ['unix'] });
  app.get('/seen/*', echo);
  app.post('/digest', async ({ request, response }) => {
    const hash = createHash('sha256');
    for await (const piece of request.body) hash.update(piece);
    await response.text(hash.digest('hex'));
  });
  app.get('/large', ({ response }) => response.bytes(Buffer.alloc(LARGE, 'windhover')));
  app.get('/socket', async (context) => {
    const { remoteAddress } = context.connection;
    const { scheme, host } = context.request;
    const socket = await acceptWebSocket(context, sockets);
    socket.on('message', (data, isBinary) => {
      if (isBinary) socket.send(data);
      else socket.send(`${scheme} ${host} ${remoteAddress ?? '?'}`);
    });
  });
  await app.start();
  t.teardown(async () => {
    for (const socket of sockets.clients) socket.terminate();
    await app.stop(AbortSignal.abort());
    rmSync(folder, { recursive: true });
  });
  return kind === 'tcp' ? { port: Number(new URL(app.addresses[0]).port) } : { path };
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Asks the proxy, from another address. */
async function ask(
  proxy: RunningProxy,
  scheme: 'http' | 'https',
  path: string,
  options: RequestOptions = {},
  body?: Uint8Array,
): Promise<Answer> {
  const all = {
    host: '127.0.0.1',
    port: proxy[scheme],
    path,
    localAddress: CLIENT,
    rejectUnauthorized: false,
    agent: false,
    ...options,
    headers: { Host: HOST, ...options.headers },
  } as const;
  const sent = scheme === 'https' ? requestHttps(all) : requestHttp(all);
  const answer = new Promise<Answer>((resolve, reject) => {
    sent.once('error', reject);
    sent.once('response', (response) => {
      const { statusCode: status, headers } = response;
      buffer(response).then((bytes) => {
        resolve({ status, headers, body: bytes });
      }, reject);
    });
  });
  sent.end(body);
  return answer;
}

async function checkSeen(t: ExecutionContext, proxy: RunningProxy): Promise<void> {
  for (const scheme of ['http', 'https'] as const) {
    for (const headers of [{}, LIES]) {
      const { status, body } = await ask(proxy, scheme, '/seen/a%2Fb%20c', { headers });
      t.is(status, 200);
      const seen = JSON.parse(body.toString()) as Seen;
      t.like(seen, { address: CLIENT, scheme, host: HOST, pathBase: '', path: '/seen/a%2Fb c' });
      t.not(seen.fields['x-original-for'], '6.6.6.6:1');
    }
  }
}

async function checkBodies(t: ExecutionContext, proxy: RunningProxy): Promise<void> {
  const sent = randomBytes(LARGE);
  const digest = createHash('sha256').update(sent).digest('hex');
  const framings = [{ 'Content-Length': LARGE }, { 'Transfer-Encoding': 'chunked' }];
  for (const headers of framings) {
    const { status, body } = await ask(proxy, 'http', '/digest', { method: 'POST', headers }, sent);
    t.is(status, 200);
    t.is(body.toString(), digest);
  }
  const { body } = await ask(proxy, 'https', '/large');
  t.true(body.equals(Buffer.alloc(LARGE, 'windhover')));
}

async function checkWebSocket(t: ExecutionContext, proxy: RunningProxy): Promise<void> {
  for (const [protocol, scheme] of [
    ['ws', 'http'],
    ['wss', 'https'],
  ] as const) {
    const socket = new WebSocket(`${protocol}://127.0.0.1:${String(proxy[scheme])}/socket`, {
      localAddress: CLIENT,
      rejectUnauthorized: false,
      headers: { Host: HOST },
    });
    await once(socket, 'open');
    socket.send('who');
    const [told] = (await once(socket, 'message')) as [Buffer];
    t.is(told.toString(), `${scheme} ${HOST} ${CLIENT}`);
    const large = randomBytes(1_000_000);
    socket.send(large);
    const [echoed] = (await once(socket, 'message')) as [Buffer];
    t.true(large.equals(echoed));
    socket.close();
    await once(socket, 'close');
  }
}

const CHECKS: Readonly<
  Record<string, (t: ExecutionContext, proxy: RunningProxy) => Promise<void>>
> = {
  'client, scheme, host and path are right': checkSeen,
  'large bodies pass both ways': checkBodies,
  'WebSockets pass': checkWebSocket,
};

for (const name of PROXIES) {
  const program = findProxy(name);
  if (program === undefined) console.log(`there is no ${name}: its tests are skipped`);
  for (const kind of ['tcp', 'unix'] as const) declare(name, kind, program);
}

function declare(name: ProxyName, kind: 'tcp' | 'unix', program: string | undefined): void {
  const title = `behind ${name}, ${kind === 'tcp' ? 'over TCP' : 'by a Unix socket'}`;
  if (program === undefined) {
    test.skip(title, () => undefined);
    return;
  }
  test.serial(title, async (t) => {
    t.timeout(60_000);
    const backend = await startApplication(t, kind);
    const proxy = await startProxy(t, name, program, backend);
    for (const [what, check] of Object.entries(CHECKS)) {
      t.log(what);
      await check(t, proxy);
    }
  });
}

test('the documentation has the configurations that were tested', (t) => {
  const page = readDocument('docs/behind-a-proxy.md');
  for (const file of CONFIGURATIONS) {
    t.true(page.includes(`\n${readConfiguration(file)}\`\`\``), `docs/proxies/${file}`);
  }
});
