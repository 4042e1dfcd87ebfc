import test from 'ava';
import type {
  MeterLike,
  MetricAttributes,
  ObservableCallbackLike,
} from '../../lib/server/opentelemetry.js';
import { instrument } from '../../lib/server/opentelemetry.js';
import { settings } from '../support/h2/frames.js';
import { startHttp2 } from '../support/h2/server.js';
import { captureErrors } from '../support/quiet-console.js';
import { until } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

captureErrors();

interface Measurement {
  readonly value: number;
  readonly attributes: MetricAttributes;
}

/** A meter that keeps what it is told. */
class FakeMeter implements MeterLike {
  readonly recorded: Measurement[] = [];
  readonly callbacks = new Map<string, ObservableCallbackLike>();
  readonly units = new Map<string, string | undefined>();

  createHistogram(name: string, options?: { unit?: string }) {
    this.units.set(name, options?.unit);
    return {
      record: (value: number, attributes: MetricAttributes = {}) => {
        this.recorded.push({ value, attributes });
      },
    };
  }

  createObservableCounter(name: string, options?: { unit?: string }) {
    this.units.set(name, options?.unit);
    return {
      addCallback: (callback: ObservableCallbackLike) => {
        this.callbacks.set(name, callback);
      },
      removeCallback: (callback: ObservableCallbackLike) => {
        if (this.callbacks.get(name) === callback) this.callbacks.delete(name);
      },
    };
  }

  createObservableUpDownCounter(name: string, options?: { unit?: string }) {
    return this.createObservableCounter(name, options);
  }

  /** What an instrument observes now. */
  collect(name: string): Measurement[] {
    const seen: Measurement[] = [];
    this.callbacks.get(name)?.({
      observe: (value, attributes = {}) => {
        seen.push({ value, attributes });
      },
    });
    return seen;
  }
}

test.serial('instruments observe the counters of their server', async (t) => {
  const meter = new FakeMeter();
  const { connect, once, server } = await startServer(t, ({ response }) => response.text('a'));
  const other = await startServer(t, ({ response }) => response.text('b'));
  const end = instrument(server, meter);
  const client = await connect();
  for (let i = 0; i < 3; i++) await client.request('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  await once('GET /\r\n\r\n');
  await other.once('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  t.is(meter.collect('windhover.connections')[0].value, 2);
  t.is(meter.collect('http.server.active_requests')[0].value, 0);
  t.true(meter.collect('kestrel.active_connections')[0].value >= 1);
  t.deepEqual(meter.collect('windhover.responses'), [
    { value: 3, attributes: { 'http.response.status_code': 200 } },
    { value: 1, attributes: { 'http.response.status_code': 400 } },
  ]);
  const refused = meter.collect('windhover.refused_requests').filter(({ value }) => value > 0);
  t.deepEqual(refused, [{ value: 1, attributes: { 'error.type': 'invalidRequestLine' } }]);
  t.true(meter.collect('windhover.timeouts').length >= 4);
  t.deepEqual(
    meter.collect('windhover.network.io').map(({ attributes }) => attributes),
    [{ 'network.io.direction': 'receive' }, { 'network.io.direction': 'transmit' }],
  );
  t.true(meter.collect('windhover.batches')[0].value >= 3);
  t.is(meter.units.get('kestrel.active_connections'), '{connection}');
  end();
  t.is(meter.callbacks.size, 0);
});

test.serial('durations are recorded for every request, refused ones included', async (t) => {
  const meter = new FakeMeter();
  const { connect, once, server } = await startServer(t, async ({ request, response }) => {
    if (request.path === '/fails') throw Object.assign(new Error('mine'), { code: 'E_MINE' });
    if (request.hasBody) await request.body.bytes();
    await response.text('a');
  });
  const end = instrument(server, meter);
  const client = await connect();
  const plain = {
    'url.scheme': 'http',
    'network.protocol.name': 'http',
    'network.protocol.version': '1.1',
  };
  const rows: readonly (readonly [string, MetricAttributes])[] = [
    [
      'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
      { ...plain, 'http.request.method': 'GET', 'http.response.status_code': 200 },
    ],
    [
      'FROB / HTTP/1.1\r\nHost: h\r\n\r\n',
      { ...plain, 'http.request.method': '_OTHER', 'http.response.status_code': 200 },
    ],
    [
      'GET /fails HTTP/1.1\r\nHost: h\r\n\r\n',
      {
        ...plain,
        'http.request.method': 'GET',
        'http.response.status_code': 500,
        'error.type': 'E_MINE',
      },
    ],
  ];
  for (const [i, [bytes, attributes]] of rows.entries()) {
    await client.request(bytes);
    await until(() => meter.recorded.length === i + 1, 'it is recorded');
    t.deepEqual(meter.recorded[i].attributes, attributes);
    t.true(meter.recorded[i].value >= 0 && meter.recorded[i].value < 10);
  }
  await once('GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n');
  await until(() => meter.recorded.length === 4, 'the refusal is recorded');
  t.deepEqual(meter.recorded[3].attributes, {
    'http.request.method': '_OTHER',
    'http.response.status_code': 400,
    'url.scheme': 'http',
    'error.type': 'invalidHost',
  });
  // A body that is refused is one request, not two.
  await once('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n');
  await until(() => meter.recorded.length === 5, 'it is recorded');
  t.is(meter.recorded[4].attributes['http.response.status_code'], 400);
  end();
  await client.request(rows[0][0]);
  await once('GET /\r\n\r\n');
  t.is(meter.recorded.length, 5);
});

test.serial('TLS, HTTP/2 and what is rejected have instruments', async (t) => {
  const meter = new FakeMeter();
  const { open, server } = await startHttp2(t, 'TLS', ({ response }) => response.text('a'), {
    limits: { maxConcurrentConnections: 2, http2: { maxSettings: 5 } },
  });
  const end = instrument(server, meter);
  const client = await open();
  t.is((await client.fetch(client.get())).status, 200);
  const flooding = await open();
  await t.throwsAsync(open());
  flooding.send(...Array.from({ length: 6 }, () => settings()));
  t.is((await flooding.takeGoaway()).code, 'ENHANCE_YOUR_CALM');
  t.is(meter.collect('kestrel.rejected_connections')[0].value, 1);
  t.is(meter.collect('kestrel.active_tls_handshakes')[0].value, 0);
  const handshakes = meter.recorded.filter(
    ({ attributes }) => Object.keys(attributes).length === 0,
  );
  t.is(handshakes.length, 2);
  const { duration } = server.metrics().tls;
  const sum = handshakes.reduce((all, { value }) => all + value, 0);
  t.true(
    Math.abs(sum - duration.sum / 1e6) <= 0.13 * sum,
    `${String(sum)} s for ${String(duration.sum)} µs`,
  );
  meter.collect('kestrel.active_tls_handshakes');
  t.is(meter.recorded.filter(({ attributes }) => Object.keys(attributes).length === 0).length, 2);
  t.is(meter.collect('windhover.http2_connections')[0].value, 2);
  t.deepEqual(
    meter.collect('windhover.http2_floods').filter(({ value }) => value > 0),
    [{ value: 1, attributes: { 'windhover.flood': 'settings' } }],
  );
  t.deepEqual(meter.collect('windhover.tls_handshakes'), [
    { value: 2, attributes: { 'windhover.tls_handshake': 'full' } },
    { value: 0, attributes: { 'windhover.tls_handshake': 'resumed' } },
    { value: 0, attributes: { 'windhover.tls_handshake': 'failed' } },
  ]);
  t.is(meter.units.get('kestrel.tls_handshake.duration'), 's');
  const request = meter.recorded.find(({ attributes }) => 'url.scheme' in attributes);
  t.like(request?.attributes, { 'url.scheme': 'https', 'network.protocol.version': '2' });
  end();
  t.is(meter.callbacks.size, 0);
});
