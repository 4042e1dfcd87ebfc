/** The server on the native core. */
import { setMaxListeners } from 'node:events';
import { FeatureCollection } from '../features/feature-collection.js';
import { ServerAddressesFeature } from '../features/server-features.js';
import { invalidArgument, WindhoverError } from '../http/errors.js';
import { getAddon, type LaneOptions } from '../native/addon.js';
import { NativeServer } from '../native/native-server.js';
import type { EndpointOptions, ServerOptions } from './options.js';
import type { HttpApplication, Server } from './server.js';
import type { StoppingHook } from './stopping-hooks.js';
import { StoppingHooks } from './stopping-hooks.js';
import { GracefulStop } from './windhover/graceful-stop.js';
import { toLaneEndpoint, toLaneOptions } from './windhover/native-options.js';
import { RequestRunner } from './windhover/request-runner.js';
import type { Shutdown } from './windhover/shutdown-options.js';
import { toShutdown } from './windhover/shutdown-options.js';

/** Where a server listens that was not told. Source: Kestrel. */
const DEFAULT_URL = 'http://localhost:5000';

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
  private readonly shutdown: Shutdown;
  private readonly hooks = new StoppingHooks();
  private readonly stopSignal = new AbortController();
  private ending: GracefulStop | undefined;
  private stopped: Promise<void> | undefined;
  private lastMetrics: ServerMetrics | undefined;
  private runner: RequestRunner<unknown> | undefined;
  private isReferenced = true;

  /**
   * @param options - What to listen on, and within which limits.
   * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option and the value.
   */
  constructor(options: ServerOptions = {}) {
    this.options = toLaneOptions(options);
    getAddon().checkOptions(this.options);
    this.shutdown = toShutdown(options.shutdown);
    setMaxListeners(0, this.stopSignal.signal); // every stream may listen
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
    if (this.native !== undefined || this.stopped !== undefined) {
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
   * Whether the server wants requests: from the end of its start to the begin of its stop. What a
   * readiness probe asks for.
   */
  get isReady(): boolean {
    return this.native !== undefined && this.stopped === undefined;
  }

  /** Aborts when a stop begins, before anything is refused. */
  get stopping(): AbortSignal {
    return this.stopSignal.signal;
  }

  /**
   * Adds what is done at the begin of a stop, see {@link StoppingHook}. All hooks run side by side, and
   * beside `shutdown.preStopDelay`. A stop that has begun calls this one at once, and does not wait.
   *
   * @throws TypeError WH_ERR_INVALID_ARGUMENT where it is no function.
   */
  onStopping(hook: StoppingHook): void {
    this.hooks.add(hook);
  }

  /**
   * Stops, without losing a request that a client was let in with. In order: `isReady` is false,
   * `stopping` aborts, hooks run and `shutdown.preStopDelay` passes, while everything is served as before.
   * New connections are refused, those in the system's queue are served. Each connection ends with an
   * answer that says `Connection: close`, or after `shutdown.drainWindow` without one. What still runs
   * after `shutdown.timeout` is reset. Does nothing before the start.
   *
   * @param signal - Ends the wait at once; where the first call has one, `shutdown.timeout` does not hold.
   * @returns Settles when everything is closed. Calls after the first share its result, but their signals
   * end the wait as well. Rejects with TypeError WH_ERR_INVALID_ARGUMENT where `signal` is none; and, when
   * all is closed, with what a hook failed with (an AggregateError of several).
   */
  async stop(signal?: AbortSignal): Promise<void> {
    requireSignal(signal);
    if (this.native === undefined && this.stopped === undefined) return;
    this.stopped ??= this.beginStop(signal === undefined);
    if (signal === undefined) {
      await this.stopped;
      return;
    }
    const force = (): void => this.ending?.force();
    if (signal.aborted) force();
    signal.addEventListener('abort', force);
    try {
      await this.stopped;
    } finally {
      signal.removeEventListener('abort', force);
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

  private beginStop(hasLimit: boolean): Promise<void> {
    const { native, runner } = this;
    if (native === undefined || runner === undefined) return Promise.resolve();
    const ending = new GracefulStop(native, runner, this.shutdown, this.hooks);
    this.ending = ending;
    // Whoever hears of it may ask for a stop as well: that has to find this one.
    let begin: () => void = () => undefined;
    this.stopped = new Promise<void>((resolve, reject) => {
      begin = () => {
        this.end(native, ending.run(hasLimit)).then(resolve, reject);
      };
    });
    this.stopSignal.abort();
    begin();
    return this.stopped;
  }

  private async end(native: NativeServer, drained: Promise<void>): Promise<void> {
    await drained;
    this.lastMetrics = this.metrics();
    native.close();
    this.native = undefined;
    this.hooks.throwFailures();
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
