/** The server on the native core. */
import { FeatureCollection } from '../features/feature-collection.js';
import { ServerAddressesFeature } from '../features/server-features.js';
import { invalidArgument, WindhoverError } from '../http/errors.js';
import { getAddon, type LaneOptions } from '../native/addon.js';
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
  private readonly options: LaneOptions;
  private readonly endpoints: readonly EndpointOptions[];
  private native: NativeServer | undefined;
  private stopping: Promise<void> | undefined;
  private lastMetrics: ServerMetrics | undefined;
  private runner: RequestRunner<unknown> | undefined;
  private isReferenced = true;
  /** Ends the wait of a stop for the requests that still run. */
  private endWait: () => void = () => undefined;

  /**
   * @param options - What to listen on, and within which limits.
   * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option and the value.
   */
  constructor(options: ServerOptions = {}) {
    this.options = toLaneOptions(options);
    getAddon().checkOptions(this.options);
    this.endpoints = [...(options.endpoints ?? [])];
    this.endpoints.forEach((endpoint, i) => {
      toLaneEndpoint(endpoint, `endpoints[${String(i)}]`);
    });
    this.features.set(ServerAddressesFeature, { addresses: [] });
  }

  /** The URLs really bound, once started. */
  get addresses(): readonly string[] {
    return this.features.get(ServerAddressesFeature)?.addresses ?? [];
  }

  /**
   * Listens, and gives every request to the application.
   *
   * @throws TypeError WH_ERR_INVALID_ARGUMENT; WindhoverError WH_ERR_SERVER_STARTED where it was started
   * before; TypeError or RangeError WH_ERR_INVALID_OPTION and Error WH_ERR_ADDRESS_IN_USE,
   * WH_ERR_ADDRESS_INVALID, WH_ERR_ADDRESS_NOT_AVAILABLE, WH_ERR_ACCESS_DENIED, naming the endpoint.
   */
  async start<T>(application: HttpApplication<T>, signal?: AbortSignal): Promise<void> {
    requireApplication(application);
    requireSignal(signal);
    if (this.native !== undefined || this.stopping !== undefined) {
      throw new WindhoverError('WH_ERR_SERVER_STARTED', 'A server can be started once');
    }
    signal?.throwIfAborted();
    const { requestTimeout } = this.options;
    const limit =
      typeof requestTimeout === 'number' && requestTimeout !== Infinity ? requestTimeout : 0;
    const runner = new RequestRunner(application, limit);
    const native = new NativeServer(this.options, runner);
    const feature = this.features.get(ServerAddressesFeature);
    const asked = this.endpoints.length > 0 ? [] : (feature?.addresses ?? []);
    const endpoints: EndpointOptions[] = [...this.endpoints, ...asked.map((url) => ({ url }))];
    if (endpoints.length === 0) endpoints.push({ url: DEFAULT_URL });
    try {
      endpoints.forEach((endpoint, i) => {
        native.listen(toLaneEndpoint(endpoint, `endpoints[${String(i)}]`));
      });
    } catch (error) {
      native.close();
      throw error;
    }
    this.native = native;
    this.runner = runner;
    if (!this.isReferenced) native.keepAlive(false);
    feature?.addresses.splice(0, feature.addresses.length, ...native.urls());
  }

  /**
   * Stops listening, ends idle connections, waits for the requests that run, and then ends what is left.
   * Does nothing before the start.
   *
   * @param signal - Ends the wait; where the first call has none the wait ends after 30 seconds.
   * @returns Settles when everything is closed. Calls after the first share its result, but their signals
   * end the wait as well. Rejects with TypeError WH_ERR_INVALID_ARGUMENT where `signal` is none.
   */
  async stop(signal?: AbortSignal): Promise<void> {
    requireSignal(signal);
    if (this.native === undefined && this.stopping === undefined) return;
    this.stopping ??= this.drain(signal === undefined);
    if (signal === undefined) {
      await this.stopping;
      return;
    }
    if (signal.aborted) this.endWait();
    signal.addEventListener('abort', this.endWait);
    try {
      await this.stopping;
    } finally {
      signal.removeEventListener('abort', this.endWait);
    }
  }

  /** What the server has counted. After the stop: what it had counted until then. */
  metrics(): ServerMetrics {
    if (this.native === undefined) return this.lastMetrics ?? NO_METRICS;
    const { latencyCounts: counts, latencyLimits: bounds, ...told } = this.native.metrics();
    return { ...told, latency: { counts, bounds } };
  }

  /** Lets the process end although the server listens. */
  unref(): this {
    this.isReferenced = false;
    this.native?.keepAlive(false);
    return this;
  }

  /** Undoes {@link unref}. */
  ref(): this {
    this.isReferenced = true;
    this.native?.keepAlive(true);
    return this;
  }

  private async drain(hasLimit: boolean): Promise<void> {
    const { native, runner } = this;
    if (native === undefined || runner === undefined) return;
    const waitEnded = new Promise<void>((resolve) => {
      this.endWait = resolve;
    });
    native.stopListening();
    const drained = new Promise<void>((resolve) => {
      runner.onDrained = resolve;
    });
    native.stop();
    const timer = hasLimit ? setTimeout(this.endWait, SHUTDOWN_TIMEOUT) : undefined;
    await Promise.race([drained.then(() => runner.whenIdle()), waitEnded]);
    clearTimeout(timer);
    native.abort();
    this.lastMetrics = this.metrics();
    native.close();
    this.native = undefined;
  }
}

function requireApplication(application: unknown): void {
  for (const name of ['createContext', 'processRequest', 'disposeContext']) {
    if (typeof (application as Record<string, unknown> | null | undefined)?.[name] === 'function') {
      continue;
    }
    throw invalidArgument('application', `an HttpApplication with ${name}()`, application);
  }
}

function requireSignal(signal: unknown): void {
  if (signal === undefined) return;
  const { aborted, addEventListener } = (signal ?? {}) as Partial<AbortSignal>;
  if (typeof aborted === 'boolean' && typeof addEventListener === 'function') return;
  throw invalidArgument('signal', 'an AbortSignal', signal);
}

const NO_METRICS: ServerMetrics = {
  connections: 0,
  totalConnections: 0,
  upgradedConnections: 0,
  requests: 0,
  activeRequests: 0,
  answers: 0,
  refused: 0,
  bytesReceived: 0,
  bytesSent: 0,
  batches: 0,
  latency: { counts: [], bounds: [] },
};
