/** The ready-made middleware of an application, with options from code and from its configuration. */
import type { RequestDelegate } from '../server/server.js';
import { forwardedHeaders } from '../middleware/forwarded-headers.js';
import type { ForwardedHeadersOptions } from '../middleware/forwarded-options.js';
import type { HealthEndpointOptions } from '../middleware/health-endpoint.js';
import { healthEndpoint } from '../middleware/health-endpoint.js';
import type { HealthChecks } from '../middleware/health-checks.js';
import type { HostFilteringOptions } from '../middleware/host-filtering.js';
import { hostFiltering } from '../middleware/host-filtering.js';
import type { HstsOptions } from '../middleware/hsts.js';
import { hsts } from '../middleware/hsts.js';
import type { HttpsRedirectionOptions } from '../middleware/https-redirection.js';
import { httpsRedirection } from '../middleware/https-redirection.js';
import type { RequestTimeoutsOptions } from '../middleware/request-timeouts.js';
import { requestTimeouts } from '../middleware/request-timeouts.js';
import type { Middleware } from '../http/middleware.js';
import type { Configuration } from './configuration.js';
import {
  bindForwardedHeaders,
  bindHostFiltering,
  bindHsts,
  bindHttpsRedirection,
} from './middleware-configuration.js';
import { compose } from './pipeline.js';
import { PipelineBuilder } from './pipeline-builder.js';

/** What of its application a pipeline needs. */
export interface PipelineHost {
  readonly configuration: Configuration;
  readonly healthChecks: HealthChecks;
  /** The URLs really bound. */
  readonly addresses: () => readonly string[];
}

/**
 * The pipeline of an application. Its `use` methods add ready-made middleware where they are called: options
 * given there win over those of the configuration, one by one. All return the application, and throw TypeError
 * or RangeError WH_ERR_INVALID_OPTION, naming option, value and, for a setting, where it was set.
 */
export class ApplicationPipeline extends PipelineBuilder {
  /** The checks that {@link mapHealthChecks} runs; the same as the builder's. */
  readonly healthChecks: HealthChecks;
  private hasForwardedHeaders = false;
  private hasHostFiltering = false;

  /** @internal */
  constructor(private readonly host: PipelineHost) {
    super();
    this.healthChecks = host.healthChecks;
  }

  /**
   * Takes the word of known proxies about a request's client, scheme and host; see `forwardedHeaders`. The
   * configuration's section is `ForwardedHeaders`; with `ForwardedHeaders:Enabled` the middleware is there
   * without this call, before all others.
   */
  useForwardedHeaders(options: ForwardedHeadersOptions = {}): this {
    const configured = bindForwardedHeaders(this.host.configuration).options;
    this.use(forwardedHeaders(merge(configured, options)));
    this.hasForwardedHeaders = true;
    return this;
  }

  /**
   * Answers 400 to requests for other hosts; see `hostFiltering`. The settings are `AllowedHosts` and the
   * section `HostFiltering`; where they name hosts the middleware is there without this call, before all
   * others.
   */
  useHostFiltering(options: HostFilteringOptions = {}): this {
    this.use(hostFiltering(merge(bindHostFiltering(this.host.configuration), options)));
    this.hasHostFiltering = true;
    return this;
  }

  /**
   * Sends clients that come by http to https; see `httpsRedirection`. The configuration's section is
   * `HttpsRedirection`; the port may also be the setting `https_port` or `httpsPort`.
   */
  useHttpsRedirection(options: HttpsRedirectionOptions = {}): this {
    const { configuration, addresses } = this.host;
    const all = merge(bindHttpsRedirection(configuration), options);
    return this.use(httpsRedirection(all, { addresses }));
  }

  /** Sends Strict-Transport-Security; see `hsts`. The configuration's section is `Hsts`. */
  useHsts(options: HstsOptions = {}): this {
    return this.use(hsts(merge(bindHsts(this.host.configuration), options)));
  }

  /** Gives requests limits of time, also by the names of policies; see `requestTimeouts`. */
  useRequestTimeouts(options: RequestTimeoutsOptions = {}): this {
    return this.use(requestTimeouts(options));
  }

  /**
   * Adds a route, for GET and HEAD, that runs the {@link healthChecks} and answers how they are: by default
   * 200 and `Healthy` or `Degraded`, or 503 and `Unhealthy`, never cached. Source: MapHealthChecks.
   *
   * @param pattern - Such as `/healthz`.
   * @throws TypeError WH_ERR_INVALID_ROUTE as `route` does.
   */
  mapHealthChecks(pattern: string, options: HealthEndpointOptions = {}): this {
    return this.get(pattern, healthEndpoint(this.healthChecks, options));
  }

  /** @internal Puts before it what the configuration alone has asked for. */
  override _build(): RequestDelegate {
    const first = this.configured();
    const pipeline = super._build();
    return first.length === 0 ? pipeline : compose(first, pipeline);
  }

  /** The order is ASP.NET Core's: hosts are those that the proxy has sent. */
  private configured(): Middleware[] {
    const steps: Middleware[] = [];
    const { configuration } = this.host;
    const hosts = bindHostFiltering(configuration);
    const isOpen = (hosts.allowedHosts ?? ['*']).includes('*');
    if (!this.hasHostFiltering && !isOpen) steps.push(hostFiltering(hosts));
    const forwarded = bindForwardedHeaders(configuration);
    if (!this.hasForwardedHeaders && forwarded.enabled) {
      steps.push(forwardedHeaders(forwarded.options));
    }
    return steps;
  }
}

/** What is `undefined` is not given. What is no object is left for the middleware to refuse. */
function merge<T extends object>(configured: T, options: T): T {
  if (typeof options !== 'object' || (options as unknown) === null) return options;
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...configured, ...(Object.fromEntries(given) as Partial<T>) };
}
