/** The server on the native core. */
import { setMaxListeners } from 'node:events';
import { FeatureCollection } from '../features/feature-collection.js';
import { ServerAddressesFeature } from '../features/server-features.js';
import { WindhoverError } from '../http/errors.js';
import { getAddon, type LaneOptions } from '../native/addon.js';
import { NativeServer } from '../native/native-server.js';
import type { ServerMetrics } from './metrics.js';
import { noMetrics, toServerMetrics } from './metrics.js';
import type { ServerOptions } from './options.js';
import type { HttpApplication, Server } from './server.js';
import type { StoppingHook } from './stopping-hooks.js';
import {
  checkEndpoints,
  chooseEndpoints,
  requireApplication,
  requireSignal,
  untilStopped,
} from './server-arguments.js';
import { StoppingHooks } from './stopping-hooks.js';
import { ConnectionHub } from './windhover/connection-hub.js';
import { GracefulStop, type Stoppable } from './windhover/graceful-stop.js';
import type { CheckedEndpoint } from './windhover/lane-endpoints.js';
import { listenOnAll } from './windhover/listen.js';
import { toLaneOptions } from './windhover/native-options.js';
import { Observer } from './windhover/observer.js';
import { TlsEndpoints } from './windhover/tls-endpoints.js';
import { RequestRunner } from './windhover/request-runner.js';
import type { Shutdown } from './windhover/shutdown-options.js';
import { toShutdown } from './windhover/shutdown-options.js';

export type { ServerMetrics } from './metrics.js';

/** An HTTP server on windhover's native core. Source of names and behaviour: Kestrel. */
export class WindhoverServer implements Server {
  readonly features: FeatureCollection = new FeatureCollection();
  private readonly options: LaneOptions;
  private readonly serverOptions: ServerOptions;
  private readonly endpoints: readonly CheckedEndpoint[];
  private hub: ConnectionHub | undefined;
  private readonly observer: Observer;
  private native: NativeServer | undefined;
  private tls: TlsEndpoints | undefined;
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
    this.serverOptions = { ...options };
    this.endpoints = checkEndpoints(options);
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
   * WH_ERR_ADDRESS_INVALID, WH_ERR_ADDRESS_NOT_AVAILABLE, WH_ERR_ACCESS_DENIED,
   * WH_ERR_CERTIFICATE_UNREADABLE, WH_ERR_NO_DEVELOPMENT_CERTIFICATE, WH_ERR_NOT_SUPPORTED (TLS, where the
   * process has no OpenSSL), naming the endpoint.
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
    const runner = new RequestRunner(application, this.observer, limit);
    const hub = new ConnectionHub(this.serverOptions, this.observer);
    const native = new NativeServer(this.options, runner, hub);
    hub.attach(native);
    const feature = this.features.get(ServerAddressesFeature);
    const tls = new TlsEndpoints(native, this.serverOptions.logger);
    try {
      listenOnAll(
        native,
        hub,
        tls,
        chooseEndpoints(this.endpoints, feature?.addresses ?? [], this.serverOptions),
      );
    } catch (error) {
      native.close();
      throw error;
    }
    this.native = native;
    this.tls = tls;
    tls.watch();
    this.hub = hub;
    this.runner = runner;
    if (!this.isReferenced) native.keepAlive(false);
    feature?.addresses.splice(0, feature.addresses.length, ...native.urls());
    this.observer.serverStarted(this.addresses);
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
    await untilStopped(this.stopped, signal, () => this.ending?.force());
  }

  /**
   * Reads the certificates of all endpoints again, as happens by itself when their files change. New
   * connections get what is there now; those that are open keep theirs, and go on.
   *
   * @returns Rejects with what was wrong, an AggregateError of several endpoints: RangeError
   * WH_ERR_INVALID_OPTION, WindhoverError WH_ERR_CERTIFICATE_UNREADABLE. Such endpoints keep what they had.
   * Rejects with WindhoverError WH_ERR_SERVER_NOT_STARTED before the start and after the end.
   */
  async reloadCertificates(): Promise<void> {
    this.runningTls().reload();
  }

  /**
   * Replaces the keys that session tickets are sealed with, on every endpoint that speaks TLS: for servers
   * that share them, and for changing them from time to time. Certificates that are read again leave them.
   *
   * @param keys - 80 random bytes each: the first seals new tickets, all of them open old ones. So a change
   * that loses no session has the new key first and the old one behind it.
   * @throws TypeError or RangeError WH_ERR_INVALID_OPTION; WindhoverError WH_ERR_SERVER_NOT_STARTED.
   */
  setTicketKeys(keys: Uint8Array | readonly Uint8Array[]): void {
    this.runningTls().setTicketKeys(keys);
  }

  private runningTls(): TlsEndpoints {
    if (this.native !== undefined && this.tls !== undefined) return this.tls;
    throw new WindhoverError('WH_ERR_SERVER_NOT_STARTED', 'The server is not running');
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

  private beginStop(hasLimit: boolean): Promise<void> {
    const { native, runner } = this;
    if (native === undefined || runner === undefined) return Promise.resolve();
    let left = { connections: 0, requests: 0 };
    const stoppable: Stoppable = {
      stopListening: () => {
        native.stopListening();
      },
      stop: (window) => {
        native.stop(window);
      },
      abort: () => {
        left = { connections: this.metrics().connections, requests: runner.running };
        native.abort();
      },
    };
    const ending = new GracefulStop(stoppable, runner, this.shutdown, this.hooks);
    this.ending = ending;
    // Whoever hears of it may ask for a stop as well: that has to find this one.
    let begin: () => void = () => undefined;
    this.stopped = new Promise<void>((resolve, reject) => {
      begin = () => {
        this.end(native, ending.run(hasLimit), () => left).then(resolve, reject);
      };
    });
    this.stopSignal.abort();
    this.observer.serverStopping();
    begin();
    return this.stopped;
  }

  private async end(
    native: NativeServer,
    drained: Promise<void>,
    left: () => { connections: number; requests: number },
  ): Promise<void> {
    await drained;
    this.tls?.close();
    this.hub?.closeAll();
    this.lastMetrics = this.metrics();
    native.close();
    this.native = undefined;
    this.observer.serverStopped(left());
    this.hooks.throwFailures();
  }
}
