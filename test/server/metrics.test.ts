import test from 'ava';
import { metricsText } from '../../lib/server/metrics-text.js';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { ping } from '../support/h2/frames.js';
import { startHttp2 } from '../support/h2/server.js';
import { deferred, until } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

test('a server that has not started has counted nothing', (t) => {
  const metrics = new WindhoverServer().metrics();
  t.is(metrics.requests, 0);
  t.is(metrics.connections, 0);
  t.deepEqual(metrics.latency, { counts: [], bounds: [], sum: 0 });
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

test('refused requests are counted by reason and status, and so are their answers', async (t) => {
  const { connect, once, metrics } = await startServer(t, ({ request, response }) => {
    response.statusCode = Number(request.path.slice(1));
    return response.end();
  });
  const client = await connect();
  for (const status of [200, 200, 301, 404, 500]) {
    await client.request(`GET /${String(status)} HTTP/1.1\r\nHost: h\r\n\r\n`);
  }
  t.is((await once('GET /\r\n\r\n')).status, 400);
  t.is((await once('GET / HTTP/1.1\r\n\r\n')).status, 400);
  t.is((await once('GET / HTTP/9.9\r\nHost: h\r\n\r\n')).status, 505);
  const { refused, refusals, refusedStatuses, statuses, statusClasses } = metrics();
  t.is(refused, 3);
  t.like(refusals, {
    invalidRequestLine: 1,
    invalidHost: 1,
    unrecognizedHttpVersion: 1,
    tooManyHeaders: 0,
  });
  t.deepEqual(refusedStatuses, { 400: 2, 505: 1 });
  t.deepEqual(statuses, { 200: 2, 301: 1, 400: 2, 404: 1, 500: 1, 505: 1 });
  t.deepEqual(statusClasses, { '1xx': 0, '2xx': 2, '3xx': 1, '4xx': 3, '5xx': 2 });
});

test('what timers end is counted by kind', async (t) => {
  const { connect, metrics } = await startServer(t, ({ response }) => response.text('a'), {
    limits: { keepAliveTimeout: 30_000, requestHeadersTimeout: 1000 },
  });
  const [idle, slow] = [await connect(), await connect()];
  void slow.write('GET / HT');
  t.is((await slow.answer()).status, 408);
  t.is(await idle.closed, 'end'); // without a byte the shorter limit counts
  t.like(metrics().timeouts, { keepAlive: 1, requestHeaders: 1, bodyDrain: 0 });
});

test('the time in which a head comes is measured, and so is that of each phase', async (t) => {
  const { connect, metrics } = await startServer(t, ({ response }) => response.text('a'));
  const client = await connect();
  await client.request(GET);
  const sum = (counts: readonly number[]): number => counts.reduce((all, count) => all + count, 0);
  t.is(metrics().receiving.sum, 0);
  const before = metrics().bytesReceived;
  void client.write('GET / HTTP/1.1\r\n');
  await until(() => metrics().bytesReceived > before, 'its first bytes are here');
  await new Promise((resolve) => setTimeout(resolve, 40));
  await client.request('Host: h\r\n\r\n');
  const { receiving, queueing, latency } = metrics();
  t.is(sum(receiving.counts), 2);
  t.is(sum(queueing.counts), 2);
  t.is(sum(latency.counts), 2);
  t.is(receiving.counts[0], 1);
  t.true(receiving.sum >= 20_000, String(receiving.sum));
});

test('metricsText is what Prometheus reads', async (t) => {
  const { connect, once, server } = await startServer(t, ({ response }) => response.text('a'));
  const client = await connect();
  for (let i = 0; i < 5; i++) await client.request(GET);
  await once('GET /\r\n\r\n');
  const lines = metricsText(server).split('\n');
  t.is(lines.pop(), '');
  const values = new Map<string, number>();
  const typed = new Set<string>();
  for (const line of lines) {
    const type = /^# TYPE (windhover_\w+) (counter|gauge|histogram)$/.exec(line);
    if (type !== null) typed.add(type[1]);
    if (line.startsWith('#')) {
      t.regex(line, /^# (HELP|TYPE) windhover_\w+ \S/);
      continue;
    }
    const sample = /^(windhover_\w+)((?:\{\w+="[^"\\]*"\})?) ([0-9.e+-]+)$/.exec(line);
    t.truthy(sample, line);
    const [, name, labels, value] = sample ?? [];
    t.true(typed.has(name) || typed.has(name.replace(/_(bucket|sum|count)$/, '')), line);
    t.false(values.has(name + labels), line);
    values.set(name + labels, Number(value));
  }
  t.is(values.get('windhover_requests_total'), 5);
  t.is(values.get('windhover_responses_total{status="200"}'), 5);
  t.is(values.get('windhover_responses_total{status="400"}'), 1);
  t.is(values.get('windhover_refused_requests_total{reason="invalidRequestLine"}'), 1);
  t.is(values.get('windhover_refused_requests_total{reason="invalidHost"}'), 0);
  t.is(values.get('windhover_timeouts_total{kind="keepAlive"}'), 0);
  t.is(values.get('windhover_request_duration_seconds_count'), 5);
  t.is(values.get('windhover_request_duration_seconds_bucket{le="+Inf"}'), 5);
  const buckets = [...values].filter(([name]) => name.includes('request_duration_seconds_bucket'));
  t.true(buckets.length > 10 && buckets.length < 30);
  const counts = buckets.map(([, count]) => count);
  t.deepEqual(
    [...counts].sort((a, b) => a - b),
    counts,
  );
  t.true(metricsText(new WindhoverServer()).includes('windhover_connections 0\n'));
});

test('connections over HTTP/2, floods and handshakes are counted', async (t) => {
  const { open, server } = await startHttp2(t, 'TLS', ({ response }) => response.text('a'), {
    limits: { http2: { maxPings: 10 } },
  });
  const none = Object.values(server.metrics().http2Floods);
  t.true(none.length >= 9);
  t.deepEqual(new Set(none), new Set([0]));
  const quiet = await open();
  t.is((await quiet.fetch(quiet.get())).status, 200);
  const flooding = await open();
  for (let i = 0; i < 11; i++) flooding.send(ping());
  t.is((await flooding.takeGoaway()).code, 'ENHANCE_YOUR_CALM');
  const metrics = server.metrics();
  t.is(metrics.http2Connections, 2);
  t.like(metrics.http2Floods, { pings: 1, resets: 0, unacknowledgedSettings: 0 });
  const { handshakes, resumed, failed, active, duration } = metrics.tls;
  t.deepEqual(
    { handshakes, resumed, failed, active },
    { handshakes: 2, resumed: 0, failed: 0, active: 0 },
  );
  t.is(
    duration.counts.reduce((sum, count) => sum + count, 0),
    2,
  );
  t.true(duration.sum > 0);
  const text = metricsText(server);
  for (const line of [
    'windhover_http2_connections_total 2',
    'windhover_http2_floods_total{kind="pings"} 1',
    'windhover_tls_handshakes_total 2',
    'windhover_active_tls_handshakes 0',
    'windhover_tls_handshake_seconds_count 2',
  ]) {
    t.true(text.includes(`\n${line}\n`), line);
  }
});

test('a handshake under way is active, and failed where it comes to nothing', async (t) => {
  const { connect, server } = await startHttp2(t, 'TLS', ({ response }) => response.text('a'));
  const client = await connect();
  void client.write(Buffer.from('1603010200', 'hex'));
  await until(() => server.metrics().tls.active === 1, 'it is active');
  client.destroy();
  await until(() => server.metrics().tls.active === 0, 'it is over');
  t.like(server.metrics().tls, { handshakes: 0, failed: 1 });
});
