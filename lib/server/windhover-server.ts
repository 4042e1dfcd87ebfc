/** The server on the native core. */
import { FeatureCollection } from '../features/feature-collection.js';
import { ServerAddressesFeature } from '../features/server-features.js';
import { WindhoverError } from '../http/errors.js';
import { getAddon } from '../native/addon.js';
import { NativeServer } from '../native/native-server.js';
import type { EndpointOptions, ServerOptions } from './options.js';
import type { HttpApplication, Server } from './server.js';
import { toLaneEndpoint, toLaneOptions } from './windhover/native-options.js';
import { RequestRunner } from './windhover/request-runner.js';

/** Where a server listens that was not told. Source: Kestrel. */
const DEFAULT_URL = 'http://localhost:5000';

/** How long stop() waits for running requests where its caller sets no limit (ms). Source: .NET's host. */
const SHUTDOWN_TIMEOUT = 30_000;

/** What a server has counted since its start, and what there is now. */
export interface ServerMetrics {
  /** Open connections. */
  readonly connections: number;
  /** Connections accepted so far. */
  readonly totalConnections: number;
  /** Requests given to the application so far. */
  readonly requests: number;
  /** Requests that have not been answered in full. */
  readonly activeRequests: number;
  /** Answers sent in full. */
  readonly answers: number;
  /** Requests that the server refused by itself. */
  readonly refused: number;
  /** Bytes from clients, and to them. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** Calls into JavaScript, each for all the requests that were there. */
  readonly batches: number;
  /** Answers by the time from the application's call to the end of the answer. */
  readonly latency: {
    /** How many answers fell into each bucket. */
    readonly counts: readonly number[];
    /** The upper end of each bucket (µs), exclusive. */
    readonly bounds: readonly number[];
  };
}

/** An HTTP server on windhover's native core. Source of names and behaviour: Kestrel. */
export class WindhoverServer implements Server {
  readonly features: FeatureCollection = new FeatureCollection();
  private readonly options: ServerOptions;
  private readonly endpoints: readonly EndpointOptions[];
  private native: NativeServer | undefined;
  private stopping: Promise<void> | undefined;
  private lastMetrics: ServerMetrics | undefined;
  private runner: RequestRunner<unknown> | undefined;

  /**
   * @param options - What to listen on, and within which limits.
   * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option and the value.
   */
  constructor(options: ServerOptions = {}) {
    getAddon().checkOptions(toLaneOptions(options));
    this.options = { ...options, limits: { ...options.limits } };
    this.endpoints = [...(options.endpoints ?? [])];
    for (const endpoint of this.endpoints) toLaneEndpoint(endpoint);
    this.features.set(ServerAddressesFeature, { addresses: [] });
  }

  /** The URLs really bound, once started. */
  get addresses(): readonly string[] {
    return this.features.get(ServerAddressesFeature)?.addresses ?? [];
  }

  /**
   * Listens, and gives every request to the application.
   *
   * @throws WindhoverError WH_ERR_SERVER_STARTED where it was started before; Error WH_ERR_ADDRESS_IN_USE,
   * WH_ERR_ADDRESS_INVALID, WH_ERR_ADDRESS_NOT_AVAILABLE, WH_ERR_ACCESS_DENIED, naming the endpoint.
   */

  async start<T>(application: HttpApplication<T>, signal?: AbortSignal): Promise<void> {
    if (this.native !== undefined || this.stopping !== undefined) {
      throw new WindhoverError('WH_ERR_SERVER_STARTED', 'A server can be started once');
    }
    signal?.throwIfAborted();
    const runner = new RequestRunner(application);
    const native = new NativeServer(toLaneOptions(this.options), runner);
    const feature = this.features.get(ServerAddressesFeature);
    const asked = this.endpoints.length > 0 ? [] : (feature?.addresses ?? []);
    const endpoints: EndpointOptions[] = [...this.endpoints, ...asked.map((url) => ({ url }))];
    if (endpoints.length === 0) endpoints.push({ url: DEFAULT_URL });
    try {
      for (const endpoint of endpoints) native.listen(toLaneEndpoint(endpoint));
    } catch (error) {
      native.close();
      throw error;
    }
    this.native = native;
    this.runner = runner;
    feature?.addresses.splice(0, feature.addresses.length, ...native.urls());
  }

  /**
   * Stops listening, ends idle connections, waits for the requests that run, and then ends what is left.
   *
   * @param signal - Ends the wait; without it the wait ends after 30 seconds.
   * @returns Settles when everything is closed. Calls after the first share its result.
   */
  stop(signal?: AbortSignal): Promise<void> {
    return (this.stopping ??= this.drain(signal));
  }

  /** What the server has counted. After the stop: what it had counted until then. */
  metrics(): ServerMetrics {
    if (this.native === undefined) return this.lastMetrics ?? NO_METRICS;
    const { latencyCounts: counts, latencyLimits: bounds, ...told } = this.native.metrics();
    return { ...told, latency: { counts, bounds } };
  }

  /** Lets the process end although the server listens. */
  unref(): this {
    this.native?.keepAlive(false);
    return this;
  }

  /** Undoes {@link unref}. */
  ref(): this {
    this.native?.keepAlive(true);
    return this;
  }

  private async drain(signal: AbortSignal | undefined): Promise<void> {
    const { native, runner } = this;
    if (native === undefined || runner === undefined) return;
    native.stopListening();
    const drained = new Promise<void>((resolve) => {
      runner.onDrained = resolve;
    });
    native.stop();
    const quiet = drained.then(() => runner.whenIdle());
    await Promise.race([quiet, limitOf(signal, quiet)]);
    this.lastMetrics = this.metrics();
    native.abort();
    native.close();
    this.native = undefined;
  }
}

/** Settles when the wait for running requests is over: by the signal, or after the default time. */
function limitOf(signal: AbortSignal | undefined, quiet: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    if (signal !== undefined) {
      if (signal.aborted) resolve();
      const end = (): void => {
        resolve();
      };
      signal.addEventListener('abort', end, { once: true });
      void quiet.then(() => {
        signal.removeEventListener('abort', end);
      });
      return;
    }
    const timer = setTimeout(resolve, SHUTDOWN_TIMEOUT);
    void quiet.then(() => {
      clearTimeout(timer);
    });
  });
}

const NO_METRICS: ServerMetrics = {
  connections: 0,
  totalConnections: 0,
  requests: 0,
  activeRequests: 0,
  answers: 0,
  refused: 0,
  bytesReceived: 0,
  bytesSent: 0,
  batches: 0,
  latency: { counts: [], bounds: [] },
};
