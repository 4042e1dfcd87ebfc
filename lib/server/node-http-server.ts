/** The server on Node's own HTTP, in TypeScript alone: where no binary loads, or for those who want it. */
import { setMaxListeners } from 'node:events';
import type { Server as NetServer } from 'node:net';
import { FeatureCollection } from '../features/feature-collection.js';
import { ServerAddressesFeature } from '../features/server-features.js';
import { WindhoverError } from '../http/errors.js';
import type { LaneEndpoint } from '../native/addon.js';
import type { ServerMetrics } from './metrics.js';
import { ConnectionSet, type NodeConnection } from './node-http/connections.js';
import { Front } from './node-http/fronts.js';
import { toNodeMetrics } from './node-http/metrics.js';
import { listenAt, toPlace } from './node-http/places.js';
import { NodeProtocols, type RequestSink } from './node-http/protocols.js';
import type { RefusalReason } from './node-http/refusals.js';
import { NodeRequestRunner } from './node-http/request-runner.js';
import { type NodeSettings, toNodeSettings } from './node-http/settings.js';
import type { ServerOptions } from './options.js';
import type { HttpApplication, Server } from './server.js';
import {
  checkEndpoints,
  chooseEndpoints,
  requireApplication,
  requireSignal,
  untilStopped,
} from './server-arguments.js';
import type { StoppingHook } from './stopping-hooks.js';
import { StoppingHooks } from './stopping-hooks.js';
import { GracefulStop } from './windhover/graceful-stop.js';
import {
  type CheckedEndpoint,
  findDescriptors,
  refuseSharedDescriptors,
} from './windhover/lane-endpoints.js';
import { Observer } from './windhover/observer.js';
import { type Shutdown, toShutdown } from './windhover/shutdown-options.js';
import { TlsEndpoints } from './windhover/tls-endpoints.js';

/** What Node does not tell of requests that are refused. */
const NOT_TOLD = { duration: 0, dispatched: false, input: '' } as const;

/**
 * A server on node:http, node:http2 and node:tls that takes the options of a WindhoverServer and runs the
 * same applications. Options that it cannot keep it names in one warning at its start
 * (WH_WARN_OPTIONS_NOT_KEPT); docs/custom-servers.md lists what differs.
 */
export class NodeHttpServer implements Server {
  readonly features: FeatureCollection = new FeatureCollection();
  private readonly settings: NodeSettings;
  private readonly endpoints: readonly CheckedEndpoint[];
  private readonly serverOptions: ServerOptions;
  private readonly shutdown: Shutdown;
  private readonly observer: Observer;
  private readonly connections: ConnectionSet;
  private readonly hooks = new StoppingHooks();
  private readonly stopSignal = new AbortController();
  private readonly refusals = new Map<string, readonly [status: number, count: number]>();
  private readonly listeners: NetServer[] = [];
  private readonly fronts: Front[] = [];
  private readonly tls: TlsEndpoints;
  private protocols: NodeProtocols | undefined;
  private runner: NodeRequestRunner<unknown> | undefined;
  private ending: GracefulStop | undefined;
  private stopped: Promise<void> | undefined;
  private lastMetrics: ServerMetrics | undefined;
  private state: 'new' | 'starting' | 'running' | 'over' = 'new';
  private isReferenced = true;

  /**
   * @param options - What to listen on, and within which limits.
   * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option and the value; WindhoverError
   * WH_ERR_NOT_SUPPORTED for `proxyProtocol`, which it would not be safe to leave out.
   */
  constructor(options: ServerOptions = {}) {
    this.settings = toNodeSettings(options);
    this.shutdown = toShutdown(options.shutdown);
    this.serverOptions = { ...options };
    this.endpoints = checkEndpoints(options);
    this.observer = new Observer(this, options.logger);
    this.connections = new ConnectionSet((error) => {
      this.observer.callbackFailed(error);
    });
    setMaxListeners(0, this.stopSignal.signal); // every stream may listen
    this.tls = new TlsEndpoints(
      {
        setTls: (i, tls) => {
          this.fronts[i].present(tls);
        },
        setTicketKeys: (i, keys) => {
          this.fronts[i].setTicketKeys(keys);
        },
      },
      options.logger,
    );
    this.features.set(ServerAddressesFeature, { addresses: [] });
  }

  /** The URLs really bound, once started. */
  get addresses(): readonly string[] {
    return this.features.get(ServerAddressesFeature)?.addresses ?? [];
  }

  /** Whether the server wants requests: from the end of its start to the begin of its stop. */
  get isReady(): boolean {
    return this.state === 'running' && this.stopped === undefined;
  }

  /** Aborts when a stop begins, before anything is refused. */
  get stopping(): AbortSignal {
    return this.stopSignal.signal;
  }

  /**
   * Listens, and gives every request to the application.
   *
   * @returns Rejects as WindhoverServer.start does.
   */
  async start<T>(application: HttpApplication<T>, signal?: AbortSignal): Promise<void> {
    requireApplication(application);
    requireSignal(signal);
    if (this.state !== 'new') {
      throw new WindhoverError('WH_ERR_SERVER_STARTED', 'A server can be started once');
    }
    signal?.throwIfAborted();
    this.state = 'starting';
    const { requestTimeout } = this.settings.limits;
    const runner = new NodeRequestRunner(application, this.observer, requestTimeout);
    const protocols = new NodeProtocols(
      this.settings,
      this.connections,
      this.sinkOf(runner),
      this.upgradeHost(),
    );
    const feature = this.features.get(ServerAddressesFeature);
    try {
      const urls = await this.listenOnAll(protocols, feature?.addresses ?? []);
      signal?.throwIfAborted();
      feature?.addresses.splice(0, feature.addresses.length, ...urls);
    } catch (error) {
      this.state = 'new';
      for (const listener of this.listeners.splice(0)) listener.close();
      this.fronts.length = 0;
      protocols.close();
      this.connections.abort();
      throw error;
    }
    this.protocols = protocols;
    this.runner = runner;
    this.state = 'running';
    this.tls.watch();
    if (!this.isReferenced) this.reference(false);
    this.warn();
    this.observer.serverStarted(this.addresses);
  }

  /**
   * Adds what is done at the begin of a stop, see {@link StoppingHook}.
   *
   * @throws TypeError WH_ERR_INVALID_ARGUMENT where it is no function.
   */
  onStopping(hook: StoppingHook): void {
    this.hooks.add(hook);
  }

  /**
   * Stops in the order of WindhoverServer.stop: hooks and `shutdown.preStopDelay`, no new connections, the
   * last answers with `Connection: close`, idle connections after `shutdown.drainWindow` (of HTTP/2 at
   * once), and a reset for what is left after `shutdown.timeout`. Does nothing before the start.
   *
   * @param signal - Ends the wait at once; where the first call has one, `shutdown.timeout` does not hold.
   * @returns As WindhoverServer.stop.
   */
  async stop(signal?: AbortSignal): Promise<void> {
    requireSignal(signal);
    if (this.state !== 'running' && this.stopped === undefined) return;
    this.stopped ??= this.beginStop(signal === undefined);
    await untilStopped(this.stopped, signal, () => this.ending?.force());
  }

  /**
   * Reads the certificates of all endpoints again, as happens by itself when their files change.
   *
   * @returns Rejects as WindhoverServer.reloadCertificates does.
   */

  async reloadCertificates(): Promise<void> {
    this.runningTls().reload();
  }

  /**
   * Replaces the keys that session tickets are sealed with, as WindhoverServer.setTicketKeys does; but Node
   * knows one key, so that tickets of the others are not opened.
   *
   * @throws As WindhoverServer.setTicketKeys.
   */
  setTicketKeys(keys: Uint8Array | readonly Uint8Array[]): void {
    this.runningTls().setTicketKeys(keys);
  }

  private runningTls(): TlsEndpoints {
    if (this.state === 'running') return this.tls;
    throw new WindhoverError('WH_ERR_SERVER_NOT_STARTED', 'The server is not running');
  }

  /** What the server has counted, as far as Node tells; the rest is 0 or empty. */
  metrics(): ServerMetrics {
    if (this.lastMetrics !== undefined) return this.lastMetrics;
    const counted = this.runner ?? { requests: 0, running: 0, statuses: new Map<number, number>() };
    const metrics = toNodeMetrics(this.connections, counted, this.refusals);
    if (this.state === 'over') this.lastMetrics = metrics;
    return metrics;
  }

  /** Lets the process end although the server listens. */
  unref(): this {
    this.reference(false);
    return this;
  }

  /** Undoes {@link unref}. */
  ref(): this {
    this.reference(true);
    return this;
  }

  private reference(on: boolean): void {
    this.isReferenced = on;
    for (const listener of this.listeners) {
      if (on) listener.ref();
      else listener.unref();
    }
    this.connections.reference(on);
  }

  private async listenOnAll(
    protocols: NodeProtocols,
    addresses: readonly string[],
  ): Promise<string[]> {
    const endpoints = chooseEndpoints(this.endpoints, addresses, this.serverOptions);
    const places = endpoints.flatMap((endpoint) =>
      findDescriptors(endpoint).map((lane) => ({ endpoint, lane })),
    );
    refuseSharedDescriptors(places.map(({ endpoint, lane }) => [endpoint.name, lane]));
    const urls: string[] = [];
    for (const [i, { endpoint, lane }] of places.entries()) {
      try {
        urls.push(await this.listenOn(i, endpoint, lane, protocols));
      } catch (error) {
        if (error instanceof Error && !error.message.includes(endpoint.name)) {
          error.message = `${endpoint.name}: ${error.message}`;
        }
        throw error;
      }
    }
    return urls;
  }

  private async listenOn(
    i: number,
    endpoint: CheckedEndpoint,
    lane: LaneEndpoint,
    protocols: NodeProtocols,
  ): Promise<string> {
    const { name, https, use } = endpoint;
    const open = (complete: LaneEndpoint): void => {
      const report = (error: unknown): void => {
        this.observer.callbackFailed(error);
      };
      this.fronts.push(
        new Front(name, complete, use, this.settings, this.connections, protocols, report),
      );
    };
    if (https === undefined) open(lane);
    else this.tls.open(i, https, lane, open);
    const front = this.fronts[i];
    const scheme = https === undefined ? 'http' : 'https';
    const makeServer = (): NetServer => front.makeServer();
    const { servers, url } = await listenAt(toPlace(lane), lane, makeServer, scheme);
    this.listeners.push(...servers);
    // What accepts may fail for a while (EMFILE): Node tries again.
    for (const server of servers) server.on('error', () => undefined);
    return url;
  }

  private sinkOf<T>(runner: NodeRequestRunner<T>): RequestSink {
    return {
      run: (exchange) => runner.run(exchange),
      refused: (connection, reason) => {
        this.tellRefusal(connection, reason);
      },
    };
  }

  private tellRefusal(connection: NodeConnection | undefined, reason: RefusalReason): void {
    const { status } = this.settings.refusals[reason];
    this.refusals.set(reason, [status, (this.refusals.get(reason)?.[1] ?? 0) + 1]);
    this.observer.nodeRefused({
      reason,
      statusCode: status,
      connectionId: connection?.id ?? '',
      remoteAddress: connection?.remoteAddress,
      remotePort: connection?.remotePort ?? 0,
      ...NOT_TOLD,
    });
  }

  private upgradeHost(): {
    readonly addServerHeader: boolean;
    readonly isStopping: boolean;
    admitUpgrade(): boolean;
  } {
    const { connections, settings } = this;
    return {
      addServerHeader: settings.addServerHeader,
      get isStopping() {
        return connections.isStopping;
      },
      admitUpgrade: () => {
        const { counts } = connections;
        if (counts.upgraded >= settings.limits.maxConcurrentUpgradedConnections) return false;
        counts.upgraded++;
        return true;
      },
    };
  }

  private warn(): void {
    const { unkept } = this.settings;
    if (unkept.length === 0) return;
    process.emitWarning(`NodeHttpServer cannot keep these options: ${unkept.join(', ')}`, {
      code: 'WH_WARN_OPTIONS_NOT_KEPT',
    });
  }

  private beginStop(hasLimit: boolean): Promise<void> {
    const { runner, connections } = this;
    if (runner === undefined) return Promise.resolve();
    let left = { connections: 0, requests: 0 };
    let listening = this.listeners.length;
    const tellDrained = (): void => {
      if (listening === 0 && connections.size === 0) runner.onDrained();
    };
    connections.onEmpty = tellDrained;
    let window: NodeJS.Timeout | undefined;
    const ending = new GracefulStop(
      {
        stopListening: () => {
          for (const listener of this.listeners) {
            // It says so once its connections are gone; but it is connections that are waited for.
            listener.close();
            listening--;
          }
        },
        stop: (milliseconds) => {
          connections.stop();
          window = setTimeout(() => {
            connections.endIdle();
          }, milliseconds);
          tellDrained();
        },
        abort: () => {
          left = { connections: connections.size, requests: runner.running };
          connections.abort();
        },
      },
      runner,
      this.shutdown,
      this.hooks,
    );
    this.ending = ending;
    // Whoever hears of it may ask for a stop as well: that has to find this one.
    let begin: () => void = () => undefined;
    this.stopped = new Promise<void>((resolve, reject) => {
      begin = () => {
        const drained = ending.run(hasLimit).finally(() => {
          clearTimeout(window);
        });
        this.end(drained, () => left).then(resolve, reject);
      };
    });
    this.stopSignal.abort();
    this.observer.serverStopping();
    begin();
    return this.stopped;
  }

  private async end(
    drained: Promise<void>,
    left: () => { connections: number; requests: number },
  ): Promise<void> {
    await drained;
    this.tls.close();
    this.protocols?.close();
    this.state = 'over';
    this.observer.serverStopped(left());
    this.hooks.throwFailures();
  }
}
