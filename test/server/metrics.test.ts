import test from 'ava';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { deferred, until } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

test('a server that has not started has counted nothing', (t) => {
  const metrics = new WindhoverServer().metrics();
  t.is(metrics.requests, 0);
  t.is(metrics.connections, 0);
  t.deepEqual(metrics.latency, { counts: [], bounds: [] });
});

test('connections, requests, answers, refusals and bytes are counted', async (t) => {
  const gate = deferred();
  const { connect, metrics, server } = await startServer(t, async ({ request, response }) => {
    if (request.path === '/wait') await gate.promise;
    await response.text('Hello');
  });
  const client = await connect();
  let sent = 0;
  let received = 0;
  for (let i = 0; i < 10; i++) {
    sent += GET.length;
    const { head, body } = await client.request(GET);
    received += head.length + body.length;
  }
  const wait = 'GET /wait HTTP/1.1\r\nHost: h\r\n\r\n';
  void client.write(wait);
  sent += wait.length;
  await until(() => metrics().requests === 11, 'the request runs');
  t.like(metrics(), {
    connections: 1,
    totalConnections: 1,
    requests: 11,
    activeRequests: 1,
    answers: 10,
    refused: 0,
    bytesReceived: sent,
    bytesSent: received,
  });
  gate.resolve();
  const { head, body } = await client.answer();
  received += head.length + body.length;
  const bad = await connect();
  void bad.write('BAD\r\n\r\n');
  sent += 7;
  received += (await bad.answer()).head.length;
  t.like(metrics(), {
    totalConnections: 2,
    requests: 11,
    activeRequests: 0,
    answers: 11,
    refused: 1,
    bytesReceived: sent,
    bytesSent: received,
  });
  const { latency } = metrics();
  t.is(latency.counts.length, latency.bounds.length);
  t.is(
    latency.counts.reduce((sum, count) => sum + count, 0),
    11,
  );
  t.deepEqual(
    [...latency.bounds].sort((a, b) => a - b),
    [...latency.bounds],
  );

  await server.stop();
  t.like(server.metrics(), { connections: 0, totalConnections: 2, requests: 11, answers: 11 });
});

test('latency is counted where it belongs', async (t) => {
  const { connect, metrics } = await startServer(t, async ({ request, response }) => {
    const wait = Number(request.path.slice(1));
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    await response.text('a');
  });
  const client = await connect();
  for (const wait of [0, 0, 0, 60, 60]) {
    await client.request(`GET /${String(wait)} HTTP/1.1\r\nHost: h\r\n\r\n`);
  }
  const { counts, bounds } = metrics().latency;
  const above = (micros: number): number =>
    counts.reduce((sum, count, i) => ((bounds[i - 1] ?? 0) >= micros ? sum + count : sum), 0);
  t.is(above(40_000), 2);
  t.is(above(1_000_000), 0);
});

test('metrics may be asked for at any time', async (t) => {
  const seen: number[] = [];
  const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }] });
  await server.start(
    createApplication(({ response }) => {
      seen.push(server.metrics().activeRequests);
      response.onCompleted(() => {
        seen.push(server.metrics().activeRequests);
      });
      void server.stop();
      seen.push(server.metrics().activeRequests);
      return response.text('a');
    }),
  );
  const answer = await fetch(server.addresses[0]);
  t.is(await answer.text(), 'a');
  await server.stop();
  t.is(seen.length, 3);
  t.is(seen[0], 1);
  t.is(server.metrics().requests, 1);
});
