/** An application with a server under it, from its first line of configuration to its last request. */
import { ServerAddressesFeature } from '../features/server-features.js';
import { WindhoverError, invalidArgument } from '../http/errors.js';
import type { Logger } from '../server/log-events.js';
import type { ErrorListener, Server } from '../server/server.js';
import { createApplication } from '../server/server.js';
import { SHUTDOWN_TIMEOUT, TIMER_MAX } from '../server/windhover/shutdown-options.js';
import { HealthChecks } from '../middleware/health-checks.js';
import { chooseEndpoints } from './addresses.js';
import type { Configuration } from './configuration.js';
import { loadConfiguration } from './configuration-sources.js';
import type { ApplicationLifetime } from './application-lifetime.js';
import { LifetimeController } from './application-lifetime.js';
import type { ServerFactory } from './default-server.js';
import { createDefaultServer } from './default-server.js';
import type { HostEnvironment } from './host-environment.js';
import { resolveEnvironment } from './host-environment.js';
import { ApplicationPipeline } from './application-pipeline.js';
import { ServerConfiguration } from './server-configuration.js';
import { bindServerOptions } from './server-options-binding.js';
import { onStopSignals } from './stop-signals.js';

/** What an application is begun with. */
export interface WebApplicationOptions {
  /**
   * The command line, such as `process.argv.slice(2)`: `--urls`, `--environment`, `--contentRoot`, and
   * settings, such as `--limits:keepAliveTimeout=30s`.
   */
  readonly args?: readonly string[];
  /** The environment's name. Default: `--environment`, WINDHOVER_ENVIRONMENT, NODE_ENV, `Production`. */
  readonly environment?: string;
  /**
   * The directory that the application's files are relative to, appsettings.json among them. Default: the
   * working directory.
   */
  readonly contentRoot?: string;
}

/** Configures an application before it is built. Made by {@link WebApplication.createBuilder}. */
export class WebApplicationBuilder {
  /** Where the application runs. */
  readonly environment: HostEnvironment;
  /** The settings of appsettings.json, the environment and the command line; see loadConfiguration. */
  readonly configuration: Configuration;
  /** The options of the server: endpoints, limits and the rest, as configured; what code sets wins. */
  readonly server: ServerConfiguration;
  /** The URLs to listen on; the application's `urls` begin with them. */
  readonly urls = new Set<string>();
  /** What `app.mapHealthChecks` runs: `healthChecks.add('database', async () => …)`. */
  readonly healthChecks = new HealthChecks();
  /** Hears of every failure of a handler but bad requests. Default: console.error. */
  onError: ErrorListener | undefined = undefined;
  /** Whether `run` keeps silent about where it listens. Default: the setting of that name, or false. */
  suppressStatusMessages: boolean;

  /**
   * Where events go: the server's, and failures of handlers where there is no `onError`. The same as
   * `server.logger`. Default: nowhere, and failures to console.error.
   */
  get logger(): Logger | undefined {
    return this.server.logger;
  }
  set logger(logger: Logger | undefined) {
    this.server.logger = logger;
  }

  private chosenServer: Server | ServerFactory = createDefaultServer;

  /** @internal */
  constructor(private readonly options: WebApplicationOptions) {
    if (options.args !== undefined && !Array.isArray(options.args)) {
      throw invalidArgument('args', 'an array of strings', options.args);
    }
    this.environment = resolveEnvironment(options, process.env);
    this.configuration = loadConfiguration(options);
    this.server = new ServerConfiguration(
      bindServerOptions(this.configuration, this.environment.contentRoot),
    );
    const { configuration } = this;
    if (configuration.has('shutdownTimeout')) {
      this.shutdownTimeout = configuration.getDuration('shutdownTimeout', SHUTDOWN_TIMEOUT);
    }
    this.suppressStatusMessages = configuration.getBoolean('suppressStatusMessages', false);
  }

  /**
   * Chooses another server.
   *
   * @param server - A server, which gets the URLs to listen on through its ServerAddressesFeature; or a
   * function that makes one from the options, which have the URLs as endpoints.
   */
  useServer(server: Server | ServerFactory): this {
    if (
      typeof server !== 'function' &&
      typeof (server as Partial<Server> | null)?.start !== 'function'
    ) {
      throw invalidArgument('server', 'a Server or a function that makes one', server);
    }
    this.chosenServer = server;
    return this;
  }

  /**
   * How long a stop waits for running requests before it aborts them (ms). Default 30,000. Another name
   * for `server.shutdown.timeout`, which holds for every server.
   */
  get shutdownTimeout(): number {
    const { timeout } = this.server.shutdown;
    return timeout === undefined ? SHUTDOWN_TIMEOUT : (timeout ?? Infinity);
  }

  set shutdownTimeout(timeout: number) {
    this.server.shutdown.timeout = timeout;
  }

  /** Makes the application. What is set on the builder afterwards has no effect, but on `server`. */
  build(): WebApplication {
    const timeout = this.shutdownTimeout;
    if (typeof timeout !== 'number' || !(timeout >= 0)) {
      throw invalidArgument('shutdownTimeout', 'a number of milliseconds', timeout);
    }
    return new WebApplication({
      environment: this.environment,
      configuration: this.configuration,
      args: this.options.args ?? [],
      server: this.server,
      chosenServer: this.chosenServer,
      urls: this.urls,
      shutdownTimeout: timeout,
      onError: this.onError,
      suppressStatusMessages: this.suppressStatusMessages,
      healthChecks: this.healthChecks,
    });
  }
}

/** What a builder hands to its application. */
interface WebApplicationSettings {
  readonly environment: HostEnvironment;
  readonly configuration: Configuration;
  readonly args: readonly string[];
  readonly server: ServerConfiguration;
  readonly chosenServer: Server | ServerFactory;
  readonly urls: ReadonlySet<string>;
  readonly shutdownTimeout: number;
  readonly onError: ErrorListener | undefined;
  readonly suppressStatusMessages: boolean;
  readonly healthChecks: HealthChecks;
}

/**
 * An application: a pipeline (see {@link PipelineBuilder} and {@link ApplicationPipeline}) and the server that it runs on. It lives once:
 * after a stop it cannot start again. Source: ASP.NET Core's WebApplication.
 */
export class WebApplication extends ApplicationPipeline {
  /** Where the application runs. */
  readonly environment: HostEnvironment;
  /** The settings of appsettings.json, the environment and the command line. */
  readonly configuration: Configuration;
  /**
   * The URLs to listen on. They yield to the builder's endpoints, and win over `--urls`, WINDHOVER_URLS,
   * PORT and `http://localhost:5000`, in that order.
   */
  readonly urls: Set<string>;
  /** Tells when the application has started, is stopping, has stopped. */
  readonly lifetime: ApplicationLifetime;

  private readonly life: LifetimeController;
  private readonly force = new AbortController();
  private currentServer: Server | undefined = undefined;
  private startPromise: Promise<void> | undefined = undefined;
  private stopPromise: Promise<void> | undefined = undefined;

  /** @internal */
  constructor(private readonly settings: WebApplicationSettings) {
    super({
      configuration: settings.configuration,
      healthChecks: settings.healthChecks,
      addresses: () => this.addresses,
    });
    this.environment = settings.environment;
    this.configuration = settings.configuration;
    this.urls = new Set(settings.urls);
    this.lifetime = this.life = new LifetimeController(() => {
      // Whoever waits for the stop hears of its failure; nobody else can.
      this.stop().catch(() => undefined);
    });
    if (typeof settings.chosenServer !== 'function') this.currentServer = settings.chosenServer;
  }

  /** Begins the configuration of an application. */
  static createBuilder(options: WebApplicationOptions = {}): WebApplicationBuilder {
    return new WebApplicationBuilder(options);
  }

  /**
   * The server.
   *
   * @throws WindhoverError WH_ERR_APPLICATION_NOT_STARTED before the start, unless it was given as such.
   */
  get server(): Server {
    if (this.currentServer !== undefined) return this.currentServer;
    throw new WindhoverError(
      'WH_ERR_APPLICATION_NOT_STARTED',
      'The server is made when the application starts',
    );
  }

  /** The URLs really bound, once started; such as `http://127.0.0.1:49152`. */
  get addresses(): readonly string[] {
    return this.currentServer?.features.get(ServerAddressesFeature)?.addresses ?? [];
  }

  /**
   * Builds the pipeline and begins to accept requests.
   *
   * @param signal - Gives the start up where it aborts in time.
   * @returns Rejects with WH_ERR_APPLICATION_STARTED the second time, and where the server cannot start.
   */
  start(signal?: AbortSignal): Promise<void> {
    if (this.startPromise !== undefined || this.stopPromise !== undefined) {
      return Promise.reject(
        new WindhoverError('WH_ERR_APPLICATION_STARTED', 'The application was started before'),
      );
    }
    return (this.startPromise = this.begin(signal));
  }

  /**
   * Stops: `lifetime.stopping` aborts and the hooks of `lifetime.onStopping` run, while everything is
   * served as before; then there are no new connections, and the running requests end, for at most the
   * builder's `shutdownTimeout`, then they are aborted. Does nothing before the start; later calls wait
   * for the first.
   *
   * @param signal - Ends all waiting when it aborts.
   * @returns Rejects, once all is over, with what a hook or the server's stop failed with.
   */
  stop(signal?: AbortSignal): Promise<void> {
    if (this.startPromise === undefined) return Promise.resolve();
    if (signal?.aborted === true) this.force.abort();
    else {
      signal?.addEventListener(
        'abort',
        () => {
          this.force.abort();
        },
        { once: true },
      );
    }
    return (this.stopPromise ??= this.end(this.startPromise));
  }

  /**
   * Starts, waits for SIGINT, SIGTERM, SIGQUIT or `lifetime.stopApplication()`, and stops. A second
   * signal ends the process at once, with status 128 and the signal's number (143 for SIGTERM).
   *
   * @returns Rejects where the start or the stop fails: left alone, that ends the process with status 1.
   */
  async run(): Promise<void> {
    // A server of one's own may hold nothing open.
    const awake = setInterval(() => undefined, TIMER_MAX);
    const forget = onStopSignals((count, exitCode) => {
      if (count > 1) process.exit(exitCode);
      this.life.stopApplication();
    });
    try {
      await this.start();
      if (!this.settings.suppressStatusMessages) this.tellStatus();
      await aborted(this.lifetime.stopping);
      await this.stop();
    } finally {
      forget();
      clearInterval(awake);
    }
  }

  private async begin(signal: AbortSignal | undefined): Promise<void> {
    const { onError } = this.settings;
    const application = createApplication(this._build(), {
      development: this.environment.isDevelopment,
      onError,
      logger: this.settings.server.logger,
    });
    const server = this.prepareServer();
    await server.start(application, signal);
    this.life.reached('started');
  }

  private prepareServer(): Server {
    const { args, chosenServer, server: configuration } = this.settings;
    const { endpoints, ignoredUrls } = chooseEndpoints({
      endpoints: configuration.endpoints,
      urls: this.urls,
      args,
      variables: process.env,
      configured: configuredUrls(this.configuration),
    });
    if (ignoredUrls.length > 0) {
      process.emitWarning(`Endpoints were configured: not listening on ${ignoredUrls.join(', ')}`, {
        code: 'WH_WARN_URLS_IGNORED',
      });
    }
    if (typeof chosenServer === 'function') {
      return (this.currentServer = chosenServer({ ...configuration, endpoints: [...endpoints] }));
    }
    const asked = chosenServer.features.get(ServerAddressesFeature)?.addresses;
    if (asked?.length === 0) {
      for (const endpoint of endpoints) if ('url' in endpoint) asked.push(endpoint.url);
    }
    return chosenServer;
  }

  private async end(start: Promise<void>): Promise<void> {
    this.life.reached('stopping');
    const hooks = this.life.hooks.run();
    const started = await start.then(
      () => true,
      () => false,
    );
    const { preStopDelay = 0 } = this.settings.server.shutdown;
    const timer = setTimeout(
      () => {
        this.force.abort();
      },
      Math.min(preStopDelay + this.settings.shutdownTimeout, TIMER_MAX),
    );
    timer.unref();
    try {
      if (started) await this.stopServer(this.server, hooks);
    } finally {
      clearTimeout(timer);
      this.life.reached('stopped');
    }
    this.life.hooks.throwFailures();
  }

  private async stopServer(server: Server, hooks: Promise<unknown>): Promise<void> {
    if (this.life.hooks.size > 0) {
      // A server with such a phase counts its own delay meanwhile.
      if (server.onStopping === undefined) await Promise.race([hooks, aborted(this.force.signal)]);
      else server.onStopping(() => hooks.then(() => undefined));
    }
    await server.stop(this.force.signal);
  }

  private tellStatus(): void {
    for (const address of this.addresses) console.log(`Now listening on: ${address}`);
    console.log(`Environment: ${this.environment.environmentName}. Press Ctrl+C to shut down.`);
  }
}

/** The setting `urls`: one text, or a list. */
function configuredUrls(configuration: Configuration): string[] {
  const text = configuration.getString('urls');
  if (text !== undefined) return [text];
  const section = configuration.getSection('urls');
  return section.getNames().map((name) => section.getString(name, ''));
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
}
