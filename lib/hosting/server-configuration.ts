/** What `builder.server` is: the options of the server, still open to change. */
import { invalidArgument } from '../http/errors.js';
import type { Logger } from '../server/log-events.js';
import type {
  EndpointOptions,
  EndpointSettings,
  Http1Options,
  ServerLimits,
  ServerOptions,
  ShutdownOptions,
} from '../server/options.js';

/** The options of the server that the application will run on. Source: ConfigureWebHost and Kestrel's options. */
export class ServerConfiguration implements ServerOptions {
  /** Where to listen; wins over every URL. See {@link listen}. */
  readonly endpoints: EndpointOptions[] = [];
  /** Settings of every endpoint that does not say otherwise; see {@link ServerOptions.endpointDefaults}. */
  readonly endpointDefaults: EndpointSettings = {};
  /** What happens to connections over the limit; see {@link ServerOptions.connectionLimitResponse}. */
  connectionLimitResponse: '503' | 'close' = '503';
  /** Hears that nothing can be accepted; see {@link ServerOptions.onAcceptPaused}. */
  onAcceptPaused?: (error: Error) => void;
  /** Hears that connections are accepted again; see {@link ServerOptions.onAcceptResumed}. */
  onAcceptResumed?: (pausedFor: number) => void;
  /** Limits of size, number and time. */
  readonly limits: ServerLimits = {};
  /** How a stop goes. */
  readonly shutdown: ShutdownOptions = {};
  /** What HTTP/1 lets through that is refused by default. */
  readonly http1: Http1Options = {};
  /** Whether answers carry a `Server` field where the application sets none. Default true. */
  addServerHeader = true;
  /** Whether the server polls for a while before it sleeps; see {@link ServerOptions.busyPoll}. */
  busyPoll: 'adaptive' | number | false = 'adaptive';
  /** What answers to refused requests say; see {@link ServerOptions.refusals}. */
  refusals: NonNullable<ServerOptions['refusals']> = 'empty';
  /** Where the server's events go; see {@link ServerOptions.logger}. */
  logger: Logger | undefined;

  /** @param options - What is configured already; everything can be changed. */
  constructor(options: ServerOptions = {}) {
    const { endpoints = [], limits, shutdown, http1, ...others } = options;
    this.endpoints.push(...endpoints);
    Object.assign(this.limits, limits);
    Object.assign(this.shutdown, shutdown);
    Object.assign(this.http1, http1);
    Object.assign(this, others);
  }

  /**
   * Adds an endpoint.
   *
   * @param endpoint - Such as `{ host: '127.0.0.1', port: 0 }`, `{ url: 'http://localhost:5000' }` or
   * `{ path: '/run/app.sock' }`. It is checked at the start.
   */
  listen(endpoint: EndpointOptions): this {
    if (typeof endpoint !== 'object' || (endpoint as unknown) === null) {
      throw invalidArgument('endpoint', 'an object', endpoint);
    }
    this.endpoints.push(endpoint);
    return this;
  }
}
