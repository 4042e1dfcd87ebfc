import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { Agent, Client, fetch as undiciFetch, Pool } from 'undici';
import type { HttpContext } from '../../lib/http/http-context.js';
import { until } from '../support/until.js';
import type { WireServer } from '../support/wire-server.js';
import { startServer } from '../support/wire-server.js';

async function answer({ request, response }: HttpContext): Promise<void> {
  const [, kind, n] = request.path.split('/');
  switch (kind) {
    case 'text':
      return response.text(n);
    case 'late':
      await delay((Number(n) * 7) % 5);
      return response.text(n);
    case 'chunked':
      await response.write(n);
      await delay((Number(n) * 3) % 4);
      return response.write(` ${n}`);
    case 'echo':
      return response.bytes(await request.body.bytes());
    case 'events':
      response.contentType = 'text/event-stream';
      for (let i = 0; i < 5; i++) {
        await response.write(`data: ${String(i)}\n\n`);
        await delay(2);
      }
      return undefined;
    case 'redirect':
      response.redirect('/text/there', 307);
      return undefined;
    case 'forever':
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

async function startClient(
  t: ExecutionContext,
  options: Client.Options = {},
): Promise<WireServer & { client: Client }> {
  const server = await startServer(t, answer);
  const client = new Client(server.url, options);
  t.teardown(() => client.destroy());
  return { ...server, client };
}

for (const pipelining of [1, 10, 100]) {
  test(`undici, ${String(pipelining)} requests at once on one connection`, async (t) => {
    const { client, metrics } = await startClient(t, { pipelining });
    const kinds = ['text', 'late', 'chunked'];
    const asked = Array.from({ length: 500 }, async (_, i) => {
      const n = String(i);
      const kind = kinds[i % 3];
      const { statusCode, body } = await client.request({ method: 'GET', path: `/${kind}/${n}` });
      t.is(statusCode, 200);
      t.is(await body.text(), kind === 'chunked' ? `${n} ${n}` : n);
    });
    await Promise.all(asked);
    t.is(metrics().totalConnections, 1);
  });
}

test('undici: bodies among pipelined requests', async (t) => {
  const { client } = await startClient(t, { pipelining: 10 });
  const asked = Array.from({ length: 200 }, async (_, i) => {
    const sent = Buffer.alloc((i * 131) % 5000, i % 256);
    const get = i % 3 === 0;
    const { body } = await client.request(
      get
        ? { method: 'GET', path: `/text/${String(i)}` }
        : { method: i % 3 === 1 ? 'POST' : 'PUT', path: '/echo', body: sent },
    );
    const received = Buffer.from(await body.arrayBuffer());
    t.true(received.equals(get ? Buffer.from(String(i)) : sent));
  });
  await Promise.all(asked);
});

test('undici: a pool under load', async (t) => {
  const server = await startServer(t, answer);
  const pool = new Pool(server.url, { connections: 20, pipelining: 5 });
  t.teardown(() => pool.destroy());
  const asked = Array.from({ length: 2000 }, async (_, i) => {
    const { body } = await pool.request({ method: 'GET', path: `/late/${String(i)}` });
    t.is(await body.text(), String(i));
  });
  await Promise.all(asked);
  t.is(server.metrics().answers, 2000);
});

test('fetch, of Node and of undici', async (t) => {
  const { url } = await startServer(t, answer);
  const agent = new Agent();
  t.teardown(() => agent.destroy());
  const ways = [
    (path: string, init?: RequestInit) => fetch(`${url}${path}`, init),
    (path: string, init?: RequestInit) =>
      undiciFetch(`${url}${path}`, {
        ...(init as object),
        dispatcher: agent,
      }) as unknown as Promise<Response>,
  ];
  for (const ask of ways) {
    t.is(await (await ask('/text/a')).text(), 'a');
    const posted = await ask('/echo', { method: 'POST', body: JSON.stringify({ a: 1 }) });
    t.deepEqual(await posted.json(), { a: 1 });
    const moved = await ask('/redirect');
    t.true(moved.redirected);
    t.is(await moved.text(), 'there');
    t.is((await ask('/missing')).status, 404);

    const sent = Buffer.alloc(300_000, 'x');
    const stream = new ReadableStream({
      start(controller) {
        for (let at = 0; at < sent.length; at += 50_000) {
          controller.enqueue(new Uint8Array(sent.subarray(at, at + 50_000)));
        }
        controller.close();
      },
    });
    const streamed = await ask('/echo', {
      method: 'POST',
      body: stream,
      duplex: 'half',
    });
    t.true(Buffer.from(await streamed.arrayBuffer()).equals(sent));

    const events = await ask('/events');
    t.is(events.headers.get('content-type'), 'text/event-stream');
    let heard = '';
    const decoder = new TextDecoder();
    const reader = events.body?.getReader();
    for (let step = await reader?.read(); step?.value !== undefined; step = await reader?.read()) {
      heard += decoder.decode(step.value);
    }
    t.is(heard, 'data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n');
  }
});

test('fetch that is aborted', async (t) => {
  const { url, metrics } = await startServer(t, answer);
  const controller = new AbortController();
  const response = await fetch(`${url}/forever`, { signal: controller.signal });
  const reader = response.body?.getReader();
  await reader?.read();
  controller.abort();
  await until(() => metrics().activeRequests === 0, 'the server has noticed');
  t.is(metrics().connections, 0);
});
