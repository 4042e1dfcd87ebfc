/** What a server on node:http has counted. */
import type { ServerMetrics, StatusClass } from '../metrics.js';
import type { ConnectionSet } from './connections.js';

/** What is counted beside connections. */
export interface RequestCounts {
  readonly requests: number;
  readonly running: number;
  readonly statuses: ReadonlyMap<number, number>;
}

const NO_HISTOGRAM = { counts: [], bounds: [], sum: 0 } as const;

/** In the shape of every server; what Node does not tell is 0 or empty. */
export function toNodeMetrics(
  connections: ConnectionSet,
  counted: RequestCounts,
  refusals: ReadonlyMap<string, readonly [status: number, count: number]>,
): ServerMetrics {
  const { total, rejected, refused, upgraded, bytesReceived, bytesSent } = connections.counts;
  const classes = { '1xx': 0, '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 };
  let answers = 0;
  for (const [status, count] of counted.statuses) {
    classes[`${String(Math.floor(status / 100))}xx` as StatusClass] += count;
    answers += count;
  }
  const refusedStatuses: Record<number, number> = {};
  let allRefused = 0;
  for (const [status, count] of refusals.values()) {
    refusedStatuses[status] = (refusedStatuses[status] ?? 0) + count;
    allRefused += count;
  }
  return {
    connections: connections.size,
    totalConnections: total,
    rejectedConnections: rejected,
    refusedConnections: refused,
    acceptPauses: 0,
    upgradedConnections: upgraded,
    requests: counted.requests,
    activeRequests: counted.running,
    answers,
    refused: allRefused,
    refusals: Object.fromEntries([...refusals].map(([reason, [, count]]) => [reason, count])),
    refusedStatuses,
    statuses: Object.fromEntries(counted.statuses),
    statusClasses: classes,
    timeouts: {},
    http2Connections: 0,
    http2Floods: {},
    tls: { handshakes: 0, resumed: 0, failed: 0, active: 0, duration: NO_HISTOGRAM },
    bytesReceived,
    bytesSent,
    batches: 0,
    receiving: NO_HISTOGRAM,
    queueing: NO_HISTOGRAM,
    latency: NO_HISTOGRAM,
  };
}
