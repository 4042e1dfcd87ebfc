/** The server on the native core. */
import { FeatureCollection } from '../features/feature-collection.js';
import { ServerAddressesFeature } from '../features/server-features.js';
import { invalidArgument, WindhoverError } from '../http/errors.js';
import { getAddon, type LaneOptions } from '../native/addon.js';
import { NativeServer } from '../native/native-server.js';
import type { ServerMetrics } from './metrics.js';
import { noMetrics, toServerMetrics } from './metrics.js';
import type { EndpointOptions, ServerOptions } from './options.js';
import type { HttpApplication, Server } from './server.js';
import { toLaneEndpoint, toLaneOptions } from './windhover/native-options.js';
import { Observer } from './windhover/observer.js';
import { RequestRunner } from './windhover/request-runner.js';

export type { ServerMetrics } from './metrics.js';

/** Where a server listens that was not told. Source: Kestrel. */
const DEFAULT_URL = 'http://localhost:5000';

/** How long stop() waits for running requests where its caller sets no limit (ms). Source: .NET's host. */
const SHUTDOWN_TIMEOUT = 30_000;

/** An HTTP server on windhover's native core. Source of names and behaviour: Kestrel. */
export class WindhoverServer implements Server {
  readonly features: FeatureCollection = new FeatureCollection();
  private readonly options: LaneOptions;
  private readonly endpoints: readonly EndpointOptions[];
  private readonly observer: Observer;
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
    this.observer = new Observer(this, options.logger);
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
    const runner = new RequestRunner(application, this.observer, limit);
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
    this.observer.serverStarted(this.addresses);
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
    if (this.native === undefined) return (this.lastMetrics ??= noMetrics());
    return toServerMetrics(this.native.metrics());
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
    this.observer.serverStopping();
    native.stopListening();
    const drained = new Promise<void>((resolve) => {
      runner.onDrained = resolve;
    });
    native.stop();
    const timer = hasLimit ? setTimeout(this.endWait, SHUTDOWN_TIMEOUT) : undefined;
    await Promise.race([drained.then(() => runner.whenIdle()), waitEnded]);
    clearTimeout(timer);
    const left = { connections: this.metrics().connections, requests: runner.running };
    native.abort();
    this.lastMetrics = this.metrics();
    native.close();
    this.native = undefined;
    this.observer.serverStopped(left);
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
