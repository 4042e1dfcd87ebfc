import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { Agent, request as requestHttp } from 'node:http';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import { until } from '../support/until.js';
import type { WireServer } from '../support/wire-server.js';
import { startServer } from '../support/wire-server.js';

async function answer({ request, response }: HttpContext): Promise<void> {
  switch (request.path) {
    case '/hello':
      return response.text('Hello');
    case '/late':
      await delay(3);
      return response.text('late');
    case '/echo':
      return response.bytes(await request.body.bytes());
    case '/stream':
      for await (const piece of request.body) await response.write(piece);
      return undefined;
    case '/forever':
      while (!request.aborted.aborted) {
        await response.write('tick\n');
        await delay(1);
      }
      return undefined;
    default:
      response.statusCode = 404;
      return response.end();
  }
}

/** Starts a server and a client with one way to ask. */
async function start(
  t: ExecutionContext,
  agent: Agent,
): Promise<
  WireServer & {
    ask: (path: string, options?: RequestOptions, body?: Buffer) => Promise<IncomingMessage>;
  }
> {
  const server = await startServer(t, answer);
  t.teardown(() => {
    agent.destroy();
  });
  const ask = async (
    path: string,
    options: RequestOptions = {},
    body?: Buffer,
  ): Promise<IncomingMessage> => {
    const request = requestHttp(`${server.url}${path}`, { agent, ...options });
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return response;
  };
  return { ...server, ask };
}

test('node:http with a kept-alive connection', async (t) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const { ask, metrics } = await start(t, agent);
  for (let i = 0; i < 50; i++) {
    t.is(await text(await ask('/hello')), 'Hello');
    t.is(await text(await ask('/late')), 'late');
    const posted = await ask('/echo', { method: 'POST' }, Buffer.from(`body ${String(i)}`));
    t.is(await text(posted), `body ${String(i)}`);
    const head = await ask('/hello', { method: 'HEAD' });
    t.is(head.headers['content-length'], '5');
    t.is(await text(head), '');
  }
  t.is(metrics().totalConnections, 1);
});

test('node:http without keep-alive', async (t) => {
  const { ask, metrics } = await start(t, new Agent({ keepAlive: false }));
  for (let i = 0; i < 10; i++) {
    const response = await ask('/hello');
    t.is(response.headers.connection, 'close');
    t.is(await text(response), 'Hello');
  }
  t.is(metrics().totalConnections, 10);
});

test('node:http with many connections at once', async (t) => {
  const { ask } = await start(t, new Agent({ keepAlive: true, maxSockets: 50 }));
  const asked = Array.from({ length: 1000 }, async (_, i) => {
    const body = Buffer.alloc((i * 97) % 20_000, i % 256);
    const path = i % 2 === 0 ? '/echo' : '/stream';
    const response = await ask(path, { method: 'POST' }, body);
    t.true((await buffer(response)).equals(body));
  });
  await Promise.all(asked);
});

test('node:http: streams up and down', async (t) => {
  const agent = new Agent({ keepAlive: true });
  const { url } = await start(t, agent);
  const request = requestHttp(`${url}/stream`, { agent, method: 'PUT' });
  const body = Array.from({ length: 200 }, (_, i) => Buffer.alloc(10_000, i));
  Readable.from(body).pipe(request);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  t.is(response.headers['transfer-encoding'], 'chunked');
  t.true((await buffer(response)).equals(Buffer.concat(body)));
});

test('node:http: Expect: 100-continue', async (t) => {
  const agent = new Agent({ keepAlive: true });
  const { url } = await start(t, agent);
  const request: ClientRequest = requestHttp(`${url}/echo`, {
    agent,
    method: 'POST',
    headers: { Expect: '100-continue', 'Content-Length': 3 },
  });
  request.flushHeaders();
  await once(request, 'continue');
  request.end('abc');
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  t.is(await text(response), 'abc');
});

test('node:http: a client that gives up', async (t) => {
  const agent = new Agent({ keepAlive: true });
  const { url, metrics } = await start(t, agent);
  const request = requestHttp(`${url}/forever`, { agent });
  request.on('error', () => undefined);
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  await once(response, 'data');
  request.destroy();
  await until(() => metrics().activeRequests === 0, 'the server has noticed');
  t.is(metrics().connections, 0);
});
