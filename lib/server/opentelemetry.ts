/**
 * The instruments of OpenTelemetry for a server. The application gives the Meter, of any version of
 * `@opentelemetry/api`: this package does not depend on it.
 *
 * Names are those of OpenTelemetry's semantic conventions for HTTP servers and of Kestrel (kestrel.md A12)
 * where they have one, `windhover.` otherwise.
 */
import { HttpRequestFeature } from '../features/http-features.js';
import type { RequestMessage, RequestRefusedMessage } from './diagnostics.js';
import { channels } from './diagnostics.js';
import type { ServerMetrics } from './metrics.js';
import type { MetricsSource } from './metrics-text.js';
import type { Server } from './server.js';

/** Attributes of a measurement. */
export type MetricAttributes = Record<string, string | number | boolean>;

/** As far as it is needed: `Meter` of `@opentelemetry/api`. */
export interface MeterLike {
  createHistogram(name: string, options?: InstrumentOptions): HistogramLike;
  createObservableCounter(name: string, options?: InstrumentOptions): ObservableLike;
  createObservableUpDownCounter(name: string, options?: InstrumentOptions): ObservableLike;
}

/** What every instrument is made with. */
export interface InstrumentOptions {
  description?: string;
  unit?: string;
  advice?: { explicitBucketBoundaries?: number[] };
}

/** As far as it is needed: `Histogram`. */
export interface HistogramLike {
  record(value: number, attributes?: MetricAttributes): void;
}

/** As far as it is needed: `Observable`. */
export interface ObservableLike {
  addCallback(callback: ObservableCallbackLike): void;
  removeCallback(callback: ObservableCallbackLike): void;
}

/** As far as it is needed: `ObservableCallback`. */
export type ObservableCallbackLike = (result: {
  observe(value: number, attributes?: MetricAttributes): void;
}) => void;

/** Bounds of http.server.request.duration (s). Source: OpenTelemetry's semantic conventions. */
const DURATION_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** The methods that have a name of their own in `http.request.method`; others are `_OTHER`. */
const METHODS: ReadonlySet<string> = new Set(
  'CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE'.split(' '),
);

/**
 * Gives a server's counters to OpenTelemetry: observed when the meter's reader collects, but for
 * `http.server.request.duration`, which is recorded for each request, refused ones included.
 *
 * @param server - What is watched; other servers of the process are not.
 * @param meter - Such as `metrics.getMeter('windhover')`.
 * @returns Ends it.
 */
export function instrument(server: Server & MetricsSource, meter: MeterLike): () => void {
  const ends: (() => void)[] = [];
  for (const [name, { kind, observe, ...options }] of Object.entries(INSTRUMENTS)) {
    const observable =
      kind === 'counter'
        ? meter.createObservableCounter(name, options)
        : meter.createObservableUpDownCounter(name, options);
    const callback: ObservableCallbackLike = (result) => {
      observe(server.metrics(), (value, attributes) => {
        result.observe(value, attributes);
      });
    };
    observable.addCallback(callback);
    ends.push(() => {
      observable.removeCallback(callback);
    });
  }
  ends.push(recordDurations(server, meter), recordHandshakes(server, meter));
  return () => {
    for (const end of ends.splice(0)) end();
  };
}

type Observe = (value: number, attributes?: MetricAttributes) => void;

interface Instrument extends InstrumentOptions {
  readonly kind: 'counter' | 'upDownCounter';
  readonly observe: (metrics: ServerMetrics, observe: Observe) => void;
}

const INSTRUMENTS: Readonly<Record<string, Instrument>> = {
  'kestrel.active_connections': {
    kind: 'upDownCounter',
    unit: '{connection}',
    description: 'Open connections',
    observe: ({ connections }, observe) => {
      observe(connections);
    },
  },
  'kestrel.rejected_connections': {
    kind: 'counter',
    unit: '{connection}',
    description: 'Connections over maxConcurrentConnections',
    observe: ({ rejectedConnections }, observe) => {
      observe(rejectedConnections);
    },
  },
  'windhover.tls_handshakes': {
    kind: 'counter',
    unit: '{handshake}',
    description: 'TLS handshakes, by what became of them',
    observe: ({ tls }, observe) => {
      observe(tls.handshakes - tls.resumed, { 'windhover.tls_handshake': 'full' });
      observe(tls.resumed, { 'windhover.tls_handshake': 'resumed' });
      observe(tls.failed, { 'windhover.tls_handshake': 'failed' });
    },
  },
  'windhover.http2_connections': {
    kind: 'counter',
    unit: '{connection}',
    description: 'Connections over HTTP/2',
    observe: ({ http2Connections }, observe) => {
      observe(http2Connections);
    },
  },
  'windhover.http2_floods': {
    kind: 'counter',
    unit: '{connection}',
    description: 'Connections over HTTP/2 that a flood of frames ended, by kind',
    observe: ({ http2Floods }, observe) => {
      for (const [kind, count] of Object.entries(http2Floods)) {
        observe(count, { 'windhover.flood': kind });
      }
    },
  },
  'http.server.active_requests': {
    kind: 'upDownCounter',
    unit: '{request}',
    description: 'Requests that have not been answered in full',
    observe: ({ activeRequests }, observe) => {
      observe(activeRequests);
    },
  },
  'windhover.connections': {
    kind: 'counter',
    unit: '{connection}',
    description: 'Connections accepted',
    observe: ({ totalConnections }, observe) => {
      observe(totalConnections);
    },
  },
  'windhover.responses': {
    kind: 'counter',
    unit: '{response}',
    description: 'Answers begun, by status',
    observe: ({ statuses }, observe) => {
      for (const [status, count] of Object.entries(statuses)) {
        observe(count, { 'http.response.status_code': Number(status) });
      }
    },
  },
  'windhover.refused_requests': {
    kind: 'counter',
    unit: '{request}',
    description: 'Requests that the server refused, by reason',
    observe: ({ refusals }, observe) => {
      for (const [reason, count] of Object.entries(refusals)) {
        observe(count, { 'error.type': reason });
      }
    },
  },
  'windhover.timeouts': {
    kind: 'counter',
    unit: '{timeout}',
    description: 'What timers of the server have ended, by kind',
    observe: ({ timeouts }, observe) => {
      for (const [kind, count] of Object.entries(timeouts)) {
        observe(count, { 'windhover.timeout': kind });
      }
    },
  },
  'windhover.network.io': {
    kind: 'counter',
    unit: 'By',
    description: 'Bytes from clients and to them',
    observe: ({ bytesReceived, bytesSent }, observe) => {
      observe(bytesReceived, { 'network.io.direction': 'receive' });
      observe(bytesSent, { 'network.io.direction': 'transmit' });
    },
  },
  'windhover.batches': {
    kind: 'counter',
    unit: '{batch}',
    description: 'Calls into JavaScript, each for all the requests that were there',
    observe: ({ batches }, observe) => {
      observe(batches);
    },
  },
};

/**
 * The core has a histogram of its own. With each observation, what it counted since the last one is
 * recorded again: each handshake by the middle of its bucket, which is within 13 % of the truth.
 */
function recordHandshakes(server: Server & MetricsSource, meter: MeterLike): () => void {
  const histogram = meter.createHistogram('kestrel.tls_handshake.duration', {
    unit: 's',
    description: 'Duration of TLS handshakes, from the accept',
    advice: { explicitBucketBoundaries: DURATION_BOUNDS },
  });
  const observable = meter.createObservableUpDownCounter('kestrel.active_tls_handshakes', {
    unit: '{handshake}',
    description: 'TLS handshakes under way',
  });
  let last = server.metrics().tls.duration.counts;
  const callback: ObservableCallbackLike = (result) => {
    const { active, duration } = server.metrics().tls;
    const { counts, bounds } = duration;
    counts.forEach((count, i) => {
      const start = i === 0 ? 0 : bounds[i - 1];
      const middle = i === counts.length - 1 ? start : (start + bounds[i]) / 2;
      for (let left = count - (last[i] ?? 0); left > 0; left--) histogram.record(middle / 1e6);
    });
    last = counts;
    result.observe(active);
  };
  observable.addCallback(callback);
  return () => {
    observable.removeCallback(callback);
  };
}

function recordDurations(server: Server, meter: MeterLike): () => void {
  const histogram = meter.createHistogram('http.server.request.duration', {
    unit: 's',
    description: 'Duration of HTTP server requests',
    advice: { explicitBucketBoundaries: DURATION_BOUNDS },
  });
  const onStop = (message: unknown): void => {
    const request = message as RequestMessage;
    if (request.server !== server) return;
    histogram.record((request.duration ?? 0) / 1000, attributesOf(request));
  };
  const onRefused = (message: unknown): void => {
    const refused = message as RequestRefusedMessage;
    if (refused.server !== server || refused.dispatched) return; // its stop comes as well
    histogram.record(refused.duration / 1000, {
      'http.request.method': '_OTHER', // it may be the method that is at fault
      'http.response.status_code': refused.statusCode,
      'url.scheme': 'http',
      'error.type': refused.reason,
    });
  };
  channels.requestStop.subscribe(onStop);
  channels.requestRefused.subscribe(onRefused);
  return () => {
    channels.requestStop.unsubscribe(onStop);
    channels.requestRefused.unsubscribe(onRefused);
  };
}

function attributesOf(request: RequestMessage): MetricAttributes {
  const attributes: MetricAttributes = {
    'http.request.method': METHODS.has(request.method) ? request.method : '_OTHER',
    'url.scheme': request.features.get(HttpRequestFeature)?.scheme ?? 'http',
    'network.protocol.name': 'http',
    'network.protocol.version': request.protocol.slice('HTTP/'.length),
  };
  if (request.statusCode !== undefined) {
    attributes['http.response.status_code'] = request.statusCode;
  }
  const errorType = errorTypeOf(request);
  if (errorType !== undefined) attributes['error.type'] = errorType;
  return attributes;
}

/** The error's code or class; the status where it is one of the server's errors. */
function errorTypeOf({
  error,
  aborted,
  timedOut,
  statusCode = 0,
}: RequestMessage): string | undefined {
  if (timedOut === true) return 'request_timeout';
  if (error !== undefined) {
    try {
      const { code, name } = error as { code?: unknown; name?: unknown };
      if (typeof code === 'string') return code;
      if (typeof name === 'string') return name;
    } catch {
      // Anything can be thrown, also what fails when it is looked at.
    }
    return '_OTHER';
  }
  if (aborted === true) return 'connection_reset';
  return statusCode >= 500 ? String(statusCode) : undefined;
}
