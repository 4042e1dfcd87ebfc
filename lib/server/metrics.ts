/** What a server has counted, as it is told to applications. */
import type { LaneMetrics } from '../native/addon.js';
import { getAddon } from '../native/addon.js';
import { refusalReasons } from '../native/refused-request.js';

/** How many took how long. */
export interface DurationHistogram {
  /** How many fell into each bucket. */
  readonly counts: readonly number[];
  /** The upper end of each bucket (µs), exclusive; the last one has no end. */
  readonly bounds: readonly number[];
  /** All of them together (µs). */
  readonly sum: number;
}

/** What a server has counted since its start, and what there is now. */
export interface ServerMetrics {
  /** Open connections. */
  readonly connections: number;
  /** Connections accepted so far. */
  readonly totalConnections: number;
  /** Connections over `limits.maxConcurrentConnections`. Source: kestrel.rejected_connections. */
  readonly rejectedConnections: number;
  /** Connections that an endpoint's lists, its `proxyProtocol` or a filter kept out. */
  readonly refusedConnections: number;
  /** Times that nothing could be accepted for want of descriptors or memory. */
  readonly acceptPauses: number;
  /** Of the open connections, those that are upgraded. Source: Kestrel's kestrel.upgraded_connections. */
  readonly upgradedConnections: number;
  /** Requests given to the application so far. */
  readonly requests: number;
  /** Requests that have not been answered in full. */
  readonly activeRequests: number;
  /** Answers sent in full. */
  readonly answers: number;
  /** Requests that the server refused by itself. */
  readonly refused: number;
  /** Those by reason, such as `requestLineTooLong`; every reason is there. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Those by status, such as `414`. */
  readonly refusedStatuses: Readonly<Record<number, number>>;
  /** Answers begun, by status: the application's, informational ones (1xx), and those to refused requests. */
  readonly statuses: Readonly<Record<number, number>>;
  /** The same by the first digit of the status. */
  readonly statusClasses: Readonly<Record<StatusClass, number>>;
  /** What a timer of the server has ended, by kind, such as `keepAlive`; every kind is there. */
  readonly timeouts: Readonly<Record<string, number>>;
  /** Connections that have spoken HTTP/2 so far. */
  readonly http2Connections: number;
  /**
   * Of those, the ones that a flood of frames ended, by kind, such as `pings`; every kind is there. What each
   * is, and its limit: docs/observability.md.
   */
  readonly http2Floods: Readonly<Record<string, number>>;
  /** TLS handshakes. */
  readonly tls: TlsMetrics;
  /** Bytes from clients, and to them. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** Calls into JavaScript, each for all the requests that were there. */
  readonly batches: number;
  /**
   * Requests by the time from the first byte to the moment when they are handed over: 0 where the head
   * came in one piece and nothing stood before it.
   */
  readonly receiving: DurationHistogram;
  /** Requests by the time that they waited while others of their batch were read. */
  readonly queueing: DurationHistogram;
  /** Answers by the time from the application's call to the end of the answer. */
  readonly latency: DurationHistogram;
}

/** What a server has counted of TLS. */
export interface TlsMetrics {
  /** Handshakes done so far. */
  readonly handshakes: number;
  /** Of those, the ones that took up a session of before. */
  readonly resumed: number;
  /** Connections that ended before their handshake was done. */
  readonly failed: number;
  /** Handshakes under way. Source: kestrel.active_tls_handshakes. */
  readonly active: number;
  /** Those done by the time from the accept. Source: kestrel.tls_handshake.duration. */
  readonly duration: DurationHistogram;
}

/** The first digit of a status. */
export type StatusClass = '1xx' | '2xx' | '3xx' | '4xx' | '5xx';

/** From the core's counters. */
export function toServerMetrics(told: LaneMetrics): ServerMetrics {
  const {
    refusals,
    statuses,
    timeouts,
    bounds: limits,
    receivingCounts,
    receivingSum,
    queueingCounts,
    queueingSum,
    latencyCounts,
    latencySum,
    http2Floods,
    tlsHandshakes,
    tlsResumed,
    tlsFailed,
    tlsActive,
    tlsCounts,
    tlsSum,
    ...plain
  } = told;
  const bounds = Array.from(limits);
  const histogram = (counts: Float64Array, sum: number): DurationHistogram => ({
    counts: Array.from(counts),
    bounds,
    sum,
  });
  return {
    ...plain,
    ...readRefusals(refusals),
    ...readStatuses(statuses),
    timeouts: byName(getAddon().timeouts(), timeouts),
    http2Floods: byName(getAddon().floods(), http2Floods),
    tls: {
      handshakes: tlsHandshakes,
      resumed: tlsResumed,
      failed: tlsFailed,
      active: tlsActive,
      duration: histogram(tlsCounts, tlsSum),
    },
    receiving: histogram(receivingCounts, receivingSum),
    queueing: histogram(queueingCounts, queueingSum),
    latency: histogram(latencyCounts, latencySum),
  };
}

/** What a server has counted that has not started. */
export function noMetrics(): ServerMetrics {
  const nothing: DurationHistogram = { counts: [], bounds: [], sum: 0 };
  return {
    connections: 0,
    totalConnections: 0,
    rejectedConnections: 0,
    refusedConnections: 0,
    acceptPauses: 0,
    upgradedConnections: 0,
    requests: 0,
    activeRequests: 0,
    answers: 0,
    refused: 0,
    ...readRefusals(undefined),
    ...readStatuses(new Float64Array()),
    timeouts: byName(getAddon().timeouts()),
    http2Connections: 0,
    http2Floods: byName(getAddon().floods()),
    tls: { handshakes: 0, resumed: 0, failed: 0, active: 0, duration: nothing },
    bytesReceived: 0,
    bytesSent: 0,
    batches: 0,
    receiving: nothing,
    queueing: nothing,
    latency: nothing,
  };
}

function byName(names: readonly string[], counts?: Float64Array): Record<string, number> {
  return Object.fromEntries(names.map((name, i) => [name, counts?.[i] ?? 0]));
}

function readRefusals(
  counts: Float64Array | undefined,
): Pick<ServerMetrics, 'refusals' | 'refusedStatuses'> {
  const refusals: Record<string, number> = {};
  const refusedStatuses: Record<number, number> = {};
  for (const { number, reason, status } of refusalReasons()) {
    const count = counts?.[number] ?? 0;
    refusals[reason] = count;
    if (count > 0) refusedStatuses[status] = (refusedStatuses[status] ?? 0) + count;
  }
  return { refusals, refusedStatuses };
}

function readStatuses(counts: Float64Array): Pick<ServerMetrics, 'statuses' | 'statusClasses'> {
  const statuses: Record<number, number> = {};
  const classes = { '1xx': 0, '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 };
  for (let status = 100; status < counts.length; status++) {
    if (counts[status] === 0) continue;
    statuses[status] = counts[status];
    classes[`${String(Math.floor(status / 100))}xx` as StatusClass] += counts[status];
  }
  return { statuses, statusClasses: classes };
}
