/** limits.maxConcurrentConnections: who comes in, what the others read, and what a flood can hold. */
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer, request as httpRequest, Agent } from 'node:http';
import { once } from 'node:events';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { ServerOptions } from '../../lib/server/options.js';
import { RawClient } from '../support/raw-client.js';
import { until } from '../support/until.js';
import type { WireServer } from '../support/wire-server.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

function startLimited(
  t: ExecutionContext,
  maxConcurrentConnections: number,
  options: ServerOptions = {},
): Promise<WireServer> {
  const limits = { maxConcurrentConnections, ...options.limits };
  return startServer(t, ({ response }) => response.text('in'), { ...options, limits });
}

test('one connection too many is answered 503 with Retry-After, and closed', async (t) => {
  const { connect, metrics } = await startLimited(t, 2);
  const inside = [await connect(), await connect()];
  for (const client of inside) t.is((await client.request(GET)).text, 'in');

  const outside = await connect();
  const answer = await outside.request(GET);
  t.is(answer.status, 503);
  t.is(answer.reason, 'Service Unavailable');
  t.deepEqual(answer.headers.get('retry-after'), ['5']);
  t.deepEqual(answer.headers.get('content-length'), ['0']);
  t.deepEqual(answer.headers.get('connection'), ['close']);
  t.deepEqual(answer.headers.get('server'), ['windhover']);
  t.is(answer.headers.get('date')?.length, 1);
  outside.halfClose();
  t.is(await outside.closed, 'end');
  t.like(metrics(), { connections: 2, totalConnections: 2, rejectedConnections: 1 });

  // Those inside are not touched by it.
  for (const client of inside) t.is((await client.request(GET)).text, 'in');
});

test('a client that is still sending reads its 503 all the same', async (t) => {
  const { connect } = await startLimited(t, 1);
  const inside = await connect();
  t.is((await inside.request(GET)).text, 'in');
  const outside = await connect();
  void outside.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n`);
  void outside.write('x'.repeat(1_000_000));
  t.is((await outside.answer()).status, 503);
});

test('a place that becomes free is given to the next one', async (t) => {
  const { connect, metrics } = await startLimited(t, 1);
  for (let i = 0; i < 50; i++) {
    const client = await connect();
    const answer = await client.request(GET);
    t.is(answer.status, 200, String(i));
    client.halfClose();
    t.is(await client.closed, 'end'); // it is gone before the next one comes
  }
  t.is(metrics().rejectedConnections, 0);
});

test("connectionLimitResponse 'close' says nothing, as Kestrel", async (t) => {
  const { connect, metrics } = await startLimited(t, 1, { connectionLimitResponse: 'close' });
  const inside = await connect();
  t.is((await inside.request(GET)).text, 'in');
  const outside = await connect();
  await outside.closed;
  t.is(outside.received, 0);
  t.is(metrics().rejectedConnections, 1);
});

test('Retry-After is an option, and may be 0', async (t) => {
  const limits = { connectionLimitRetryAfter: 0 };
  const { connect } = await startLimited(t, 1, { limits, addServerHeader: false });
  const inside = await connect();
  t.is((await inside.request(GET)).text, 'in');
  const answer = await (await connect()).answer();
  t.deepEqual(answer.headers.get('retry-after'), ['0']);
  t.false(answer.headers.has('server'));
});

test('clients of Node understand the refusal, on fresh connections and with an agent', async (t) => {
  const { connect, port } = await startLimited(t, 1);
  const inside = await connect();
  t.is((await inside.request(GET)).text, 'in');
  t.is((await fetch(`http://127.0.0.1:${String(port)}/`)).status, 503);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => {
    agent.destroy();
  });
  for (let i = 0; i < 5; i++) {
    const request = httpRequest({ port, host: '127.0.0.1', agent, method: 'POST' });
    request.end('a body');
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    t.is(response.statusCode, 503);
    t.is(response.headers['retry-after'], '5');
    response.resume();
    await once(response, 'end');
  }
});

test('a flood that never reads or closes holds no more than 128 of them, and not for long', async (t) => {
  const { connect, metrics, port } = await startLimited(t, 1);
  const inside = await connect();
  t.is((await inside.request(GET)).text, 'in');
  const flood = await Promise.all(Array.from({ length: 300 }, () => RawClient.connect(port)));
  t.teardown(() => {
    for (const client of flood) client.destroy();
  });
  // They neither send nor end their side: only the server's own end comes.
  await until(() => metrics().rejectedConnections === 300, 'all are rejected');
  t.is(metrics().connections, 1);
  await Promise.all(flood.map((client) => client.closed));
  const answered = flood.filter((client) => client.received > 0).length;
  t.true(answered >= 1 && answered <= 300, String(answered));
  // Meanwhile and after it the one inside is served, and one that leaves makes room.
  t.is((await inside.request(GET)).text, 'in');
  inside.destroy();
  await until(async () => {
    const next = await connect();
    const { status } = await next.request(GET);
    next.destroy();
    return status === 200;
  }, 'there is room again');
});

test('stop does not wait long for the rejected', async (t) => {
  const { server, connect } = await startLimited(t, 1);
  const inside = await connect();
  t.is((await inside.request(GET)).text, 'in');
  const outside = await connect();
  t.is((await outside.answer()).status, 503);
  const before = performance.now();
  await server.stop();
  t.true(performance.now() - before < 10_000);
});

test('peers in Node close such connections without an answer', async (t) => {
  // What `maxConnections` of node:http does, for comparison with our default.
  const peer = createServer((_, response) => response.end('in'));
  peer.maxConnections = 1;
  peer.listen(0, '127.0.0.1');
  await once(peer, 'listening');
  const { port } = peer.address() as AddressInfo;
  const inside = await RawClient.connect(port);
  t.is((await inside.request(GET)).status, 200);
  const outside = await RawClient.connect(port);
  await outside.closed;
  t.is(outside.received, 0);
  inside.destroy();
  outside.destroy();
  peer.close();
});
