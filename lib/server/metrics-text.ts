/** What a server has counted as Prometheus reads it (its text format 0.0.4). */
import type { DurationHistogram, ServerMetrics } from './metrics.js';

/** The media type of {@link metricsText}. */
export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** Buckets are given for powers of two from here (µs): finer ones are there, but nobody can watch so many. */
const FIRST_BOUND = 64;

/** Whoever counts: a WindhoverServer. */
export interface MetricsSource {
  metrics(): ServerMetrics;
}

/**
 * The counters of a server in Prometheus' text format, for an endpoint of the application:
 * `app.get('/metrics', ({ response }) => response.text(metricsText(server), metricsContentType))`.
 */
export function metricsText(server: MetricsSource): string {
  const metrics = server.metrics();
  const out = new Text();
  out.add('connections', 'gauge', 'Open connections.', metrics.connections);
  out.add('connections_total', 'counter', 'Accepted connections.', metrics.totalConnections);
  const { rejectedConnections, refusedConnections, acceptPauses } = metrics;
  out.add('rejected_connections_total', 'counter', 'Over the limit.', rejectedConnections);
  out.add('refused_connections_total', 'counter', 'Kept out.', refusedConnections);
  out.add('accept_pauses_total', 'counter', 'Times without descriptors.', acceptPauses);
  out.add('active_requests', 'gauge', 'Requests not yet answered.', metrics.activeRequests);
  out.add('requests_total', 'counter', 'Requests given to the application.', metrics.requests);
  out.addEach('responses_total', 'Answers begun, by status.', 'status', metrics.statuses);
  out.addEach('refused_requests_total', 'Refused requests.', 'reason', metrics.refusals);
  out.addEach('timeouts_total', 'What timers have ended, by kind.', 'kind', metrics.timeouts);
  out.add('http2_connections_total', 'counter', 'Over HTTP/2.', metrics.http2Connections);
  out.addEach('http2_floods_total', 'Connections ended by a flood.', 'kind', metrics.http2Floods);
  const { handshakes, resumed, failed, active, duration } = metrics.tls;
  out.add('active_tls_handshakes', 'gauge', 'TLS handshakes under way.', active);
  out.add('tls_handshakes_total', 'counter', 'TLS handshakes done.', handshakes);
  out.add('tls_resumed_handshakes_total', 'counter', 'Those by an older session.', resumed);
  out.add('tls_failed_handshakes_total', 'counter', 'Ended before they were done.', failed);
  out.add('received_bytes_total', 'counter', 'Bytes from clients.', metrics.bytesReceived);
  out.add('sent_bytes_total', 'counter', 'Bytes to clients.', metrics.bytesSent);
  out.add('batches_total', 'counter', 'Calls into JavaScript.', metrics.batches);
  const { receiving, queueing, latency } = metrics;
  out.addHistogram('tls_handshake_seconds', 'Accept to the end of the handshake.', duration);
  out.addHistogram('request_receiving_seconds', 'First byte to dispatch.', receiving);
  out.addHistogram('request_queueing_seconds', 'Waiting for the batch.', queueing);
  out.addHistogram('request_duration_seconds', 'Dispatch to the end of the answer.', latency);
  return out.toString();
}

class Text {
  private readonly lines: string[] = [];

  add(name: string, type: 'counter' | 'gauge', help: string, value: number): void {
    this.begin(name, type, help);
    this.lines.push(`windhover_${name} ${String(value)}`);
  }

  addEach(
    name: string,
    help: string,
    label: string,
    values: Readonly<Record<string, number>>,
  ): void {
    this.begin(name, 'counter', help);
    for (const [value, count] of Object.entries(values)) {
      this.lines.push(`windhover_${name}{${label}="${value}"} ${String(count)}`);
    }
  }

  addHistogram(name: string, help: string, { counts, bounds, sum }: DurationHistogram): void {
    this.begin(name, 'histogram', help);
    let total = 0;
    counts.forEach((count, i) => {
      total += count;
      const bound = bounds[i];
      // Bounds are exclusive and whole: what is below 64 µs is 63 µs at most.
      if (i === counts.length - 1 || bound < FIRST_BOUND || Math.log2(bound) % 1 !== 0) return;
      const seconds = String(bound / 1e6);
      this.lines.push(`windhover_${name}_bucket{le="${seconds}"} ${String(total)}`);
    });
    this.lines.push(`windhover_${name}_bucket{le="+Inf"} ${String(total)}`);
    this.lines.push(`windhover_${name}_sum ${String(sum / 1e6)}`);
    this.lines.push(`windhover_${name}_count ${String(total)}`);
  }

  toString(): string {
    return `${this.lines.join('\n')}\n`;
  }

  private begin(name: string, type: string, help: string): void {
    this.lines.push(`# HELP windhover_${name} ${help}`, `# TYPE windhover_${name} ${type}`);
  }
}
