/** Takes the figures of the server and of its process, once a second. */
import type { Server } from '../../lib/index.js';
import { WindhoverServer } from '../../lib/index.js';

/** How many samples are kept for a page that opens. */
const HISTORY_MAX = 120;

/** Over how many samples CPU per request is averaged: one second with few requests says little. */
const CPU_WINDOW = 5;

/** With fewer requests in that time what the process does besides them would be most of the figure. */
const CPU_REQUESTS_MIN = 50;

/** What was measured at one moment. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Seconds since the process started. */
  readonly uptime: number;
  /** Requests so far. */
  readonly requests: number;
  /** Requests per second since the sample before. */
  readonly rate: number;
  /** Requests that are running. */
  readonly activeRequests: number;
  /** Open connections. */
  readonly connections: number;
  /** Connections so far. */
  readonly totalConnections: number;
  /** Requests that the server refused by itself. */
  readonly refused: number;
  /** CPU time of the process for a request (µs), lately; null where there were too few to tell. */
  readonly cpuPerRequest: number | null;
  /** The share of one core that the process uses, since the sample before. */
  readonly cpu: number;
  /** Resident memory (bytes). */
  readonly memory: number;
  /** Answers so far by the time that they took: how many, and below how many µs. */
  readonly latency: { readonly counts: readonly number[]; readonly bounds: readonly number[] };
}

/** What is compared from one sample to the next. */
interface Mark {
  readonly at: number;
  readonly cpu: number;
  readonly requests: number;
}

export class Sampler {
  /** The samples of the last two minutes, without the latency of all but the last. */
  readonly history: Sample[] = [];
  private readonly marks: Mark[] = [];

  constructor(private readonly server: () => Server) {}

  sample(): Sample {
    const server = this.server();
    const metrics = server instanceof WindhoverServer ? server.metrics() : undefined;
    const usage = process.cpuUsage();
    const mark: Mark = {
      at: performance.now(),
      cpu: usage.user + usage.system,
      requests: metrics?.requests ?? 0,
    };
    const before = this.marks.at(-1) ?? { at: mark.at - 1_000, cpu: mark.cpu, requests: 0 };
    const first = this.marks[0] ?? before;
    this.marks.push(mark);
    if (this.marks.length > CPU_WINDOW) this.marks.shift();

    const elapsed = (mark.at - before.at) / 1_000;
    const answered = mark.requests - first.requests;
    const sample: Sample = {
      time: Date.now(),
      uptime: process.uptime(),
      requests: mark.requests,
      rate: (mark.requests - before.requests) / elapsed,
      activeRequests: metrics?.activeRequests ?? 0,
      connections: metrics?.connections ?? 0,
      totalConnections: metrics?.totalConnections ?? 0,
      refused: metrics?.refused ?? 0,
      cpuPerRequest: answered >= CPU_REQUESTS_MIN ? (mark.cpu - first.cpu) / answered : null,
      cpu: (mark.cpu - before.cpu) / 1e6 / elapsed,
      memory: process.memoryUsage.rss(),
      latency: metrics?.latency ?? { counts: [], bounds: [] },
    };
    this.remember(sample);
    return sample;
  }

  private remember(sample: Sample): void {
    const last = this.history.pop();
    if (last !== undefined) this.history.push({ ...last, latency: { counts: [], bounds: [] } });
    this.history.push(sample);
    if (this.history.length > HISTORY_MAX) this.history.shift();
  }
}
