import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { WebSocketServer } from 'ws';
import { acceptWebSocket } from '../../lib/adapters/websocket.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import {
  canInstall,
  findProgram,
  foreignEnvironment,
  installPackage,
} from '../support/programs.js';
import { deferred, until, within } from '../support/until.js';
import { startSecure } from '../support/secure-server.js';
import { startServer } from '../support/wire-server.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const isThere = findProgram(...NAMES) !== undefined;
const can = isThere || canInstall();
if (!can) console.log('there is no Chromium: its test is skipped');

/** What the page does, and how it tells. */
const SCRIPT = `
  const results = {};
  async function attempt(name, body) {
    try { results[name] = await body(); } catch (error) { results[name] = 'failed: ' + error; }
  }
  async function run() {
    await attempt('json', async () => (await (await fetch('/json?a=b')).json()).query);
    await attempt('head', async () =>
      (await fetch('/text', { method: 'HEAD' })).headers.get('content-length'));
    await attempt('post', async () =>
      (await (await fetch('/echo', { method: 'POST', body: 'grüße' })).text()));
    await attempt('large', async () => {
      const sent = new Uint8Array(3000000).map((_, i) => i % 251);
      const answer = await fetch('/echo', { method: 'POST', body: sent });
      const received = new Uint8Array(await answer.arrayBuffer());
      return received.length === sent.length && received.every((byte, i) => byte === i % 251);
    });
    await attempt('form', async () => {
      const form = new FormData();
      form.append('name', 'value');
      return (await (await fetch('/echo', { method: 'POST', body: form })).text()).includes('value');
    });
    await attempt('stream', async () => {
      const reader = (await fetch('/stream')).body.getReader();
      const decoder = new TextDecoder();
      let text = '';
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return text;
        text += decoder.decode(value);
      }
    });
    await attempt('events', () => new Promise((resolve, reject) => {
      const source = new EventSource('/events');
      const heard = [];
      source.onmessage = ({ data }) => {
        heard.push(data);
        if (heard.length < 5) return;
        source.close();
        resolve(heard.join());
      };
      source.onerror = () => reject(new Error('the event source failed'));
    }));
    await attempt('many', async () => {
      const asked = Array.from({ length: 100 }, async (_, i) =>
        (await (await fetch('/text?' + i)).text()));
      return (await Promise.all(asked)).filter((text, i) => text === 'text ?' + i).length;
    });
    await attempt('abort', async () => {
      const controller = new AbortController();
      const answer = await fetch('/forever', { signal: controller.signal });
      await answer.body.getReader().read();
      controller.abort();
      return 'aborted';
    });
    await attempt('webSocket', () => new Promise((resolve, reject) => {
      const socket = new WebSocket('/chat'.replace(/^/, location.origin.replace('http', 'ws')), 'b');
      socket.binaryType = 'arraybuffer';
      const heard = [];
      const large = new Uint8Array(2000000).map((_, i) => i % 251);
      socket.onopen = () => {
        socket.send('grüße');
        socket.send('');
        socket.send(new Uint8Array([1, 2, 3]));
        socket.send(large);
      };
      socket.onmessage = ({ data }) => {
        heard.push(typeof data === 'string' ? data : new Uint8Array(data));
        if (heard.length === 4) socket.close(3001, 'done');
      };
      socket.onclose = ({ code, reason, wasClean }) => {
        const [text, empty, bytes, back] = heard;
        const same = back.length === large.length && back.every((byte, i) => byte === large[i]);
        resolve([text, empty, String(bytes), same, code, reason, wasClean, socket.protocol].join('|'));
      };
      socket.onerror = () => reject(new Error('the WebSocket failed'));
    }));
    await attempt('missing', async () => (await fetch('/missing')).status);
    await attempt('redirect', async () => (await (await fetch('/redirect')).text()));
    await attempt('cookie', async () => {
      await fetch('/cookie');
      return (await (await fetch('/cookie')).text());
    });
    await fetch('/report', { method: 'POST', body: JSON.stringify(results) });
  }
  run();
`;

const PAGE = `<!doctype html><meta charset="utf-8"><title>windhover</title>
<link rel="stylesheet" href="/style.css"><h1>windhover</h1><img src="/pixel.png" alt="">
<script src="/script.js"></script>`;

const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

for (const isSecure of [false, true]) {
  // One after the other: each is a browser.
  const title = `a browser loads a page with fetch, events and WebSockets by ${isSecure ? 'HTTP/2 over TLS' : 'HTTP/1.1'}`;
  if (can) test.serial(title, (t) => browse(t, isSecure));
  else test.skip(title, (t) => browse(t, isSecure));
}

async function browse(t: ExecutionContext, isSecure: boolean): Promise<void> {
  t.timeout(600_000, 'the browser, and its installation where it is missing');
  if (!isThere) {
    try {
      await installPackage('chromium');
    } catch (error) {
      t.log(`Chromium could not be installed: ${String(error).slice(0, 300)}`);
      t.pass();
      return;
    }
  }
  const browser = findProgram(...NAMES) as string;
  const report = deferred<Record<string, unknown>>();
  const asked: string[] = [];
  const protocols = new Set<string>();
  let chat = '';
  const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: true });
  const handler = async (context: HttpContext): Promise<void> => {
    const { request, response } = context;
    asked.push(request.path);
    protocols.add(request.protocol);
    switch (request.path) {
      case '/':
        return response.text(PAGE, 'text/html; charset=utf-8');
      case '/script.js':
        return response.text(SCRIPT, 'text/javascript; charset=utf-8');
      case '/style.css':
        return response.text('h1{color:teal}', 'text/css');
      case '/pixel.png':
        return response.bytes(PIXEL, 'image/png');
      case '/json':
        return response.json({ query: request.queryString });
      case '/text':
        return response.text(`text ${request.queryString}`);
      case '/echo':
        return response.bytes(await request.body.bytes());
      case '/stream':
        for (let i = 0; i < 5; i++) {
          await response.write(`piece ${String(i)} `);
          await delay(5);
        }
        return undefined;
      case '/events':
        response.contentType = 'text/event-stream';
        response.headers.set('Cache-Control', 'no-store');
        for (let i = 0; !request.aborted.aborted; i++) {
          await response.write(`data: ${String(i)}\n\n`);
          await delay(5);
        }
        return undefined;
      case '/forever':
        while (!request.aborted.aborted) {
          await response.write('tick\n');
          await delay(5);
        }
        return undefined;
      case '/redirect':
        response.redirect('/text?moved');
        return undefined;
      case '/cookie':
        response.headers.set('Set-Cookie', 'taste=sweet; Path=/');
        return response.text(request.cookies['taste'] ?? 'none');
      case '/chat': {
        chat = `${request.method} ${request.protocol}`;
        const socket = await acceptWebSocket(context, webSockets);
        socket.on('message', (data, isBinary) => {
          socket.send(data, { binary: isBinary });
        });
        return undefined;
      }
      case '/report':
        report.resolve((await request.body.json()) as Record<string, unknown>);
        return response.end();
      default:
        response.statusCode = 404;
        return response.end();
    }
  };
  const { url, metrics } = isSecure
    ? await startSecure(t, handler, {}, { clientCertificateMode: 'none' })
    : await startServer(t, handler);
  const profile = mkdtempSync(join(tmpdir(), 'windhover-browser-'));
  const options = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--no-first-run',
    '--disable-background-networking',
    `--user-data-dir=${profile}`,
    '--ignore-certificate-errors',
    '--remote-debugging-port=0', // keeps it open
    url,
  ];
  // A group of its own, so that all of its processes can be ended.
  const child = spawn(browser, options, {
    stdio: 'ignore',
    detached: true,
    env: foreignEnvironment(),
  });
  const closed = once(child, 'close');
  t.teardown(async () => {
    try {
      process.kill(-(child.pid as number), 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
    await closed;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
  const failed = closed.then(() => {
    throw new Error('the browser ended before it had reported');
  });
  failed.catch(() => undefined);
  const results = await within(Promise.race([report.promise, failed]), 'the report', 90_000);
  t.deepEqual(results, {
    json: '?a=b',
    head: '5',
    post: 'grüße',
    large: true,
    form: true,
    stream: 'piece 0 piece 1 piece 2 piece 3 piece 4 ',
    events: '0,1,2,3,4',
    many: 100,
    abort: 'aborted',
    webSocket: 'grüße||1,2,3|true|3001|done|true|b',
    missing: 404,
    redirect: 'text ?moved',
    cookie: 'sweet',
  });
  t.deepEqual([...protocols], [isSecure ? 'HTTP/2' : 'HTTP/1.1']);
  t.is(chat, isSecure ? 'CONNECT HTTP/2' : 'GET HTTP/1.1');
  if (isSecure) t.true(metrics().totalConnections <= 3);
  t.true(asked.includes('/style.css') && asked.includes('/pixel.png'));
  // What it gave up is over.
  await until(() => metrics().activeRequests <= 1, 'the streams have ended');
  t.log(
    `${String(metrics().requests)} requests on ${String(metrics().totalConnections)} connections`,
  );
}
