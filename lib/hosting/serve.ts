/** The smallest way to serve: one function, on the default server. */
import { ServerAddressesFeature } from '../features/server-features.js';
import { invalidArgument } from '../http/errors.js';
import type { Logger } from '../server/log-events.js';
import type { EndpointOptions, ServerOptions } from '../server/options.js';
import type { ErrorListener, RequestDelegate, Server } from '../server/server.js';
import { createApplication } from '../server/server.js';
import type { DefaultServer, ServerName } from '../server/default-server.js';
import { makeDefaultServer } from '../server/default-server.js';
import { DEFAULT_URL } from './addresses.js';
import { resolveEnvironment } from './host-environment.js';

/** Where and how to serve. */
export interface ServeOptions extends ServerOptions {
  /** The URLs to listen on, besides the endpoints. Default `http://localhost:5000`, if there are none. */
  urls?: string | readonly string[];
  /** Hears of every failure of the handler but bad requests. Default: the logger, or console.error. */
  onError?: ErrorListener;
  /**
   * Which server: `'windhover'` on the native core, `'node'` on Node's own HTTP. Default: what the
   * environment variable WINDHOVER_SERVER says, or else a WindhoverServer, or a NodeHttpServer where the
   * native binary does not load, which a warning tells.
   */
  server?: ServerName;
}

/**
 * A server at work.
 *
 * @typeParam S - What kind of server it is: a {@link DefaultServer} with {@link serve}.
 */
export interface RunningServer<S extends Server = Server> {
  /** The server. */
  readonly server: S;
  /** The URLs really bound, such as `http://127.0.0.1:49152`. */
  readonly addresses: readonly string[];
  /**
   * Stops accepting, lets the running requests end, then aborts what is left.
   *
   * @param signal - Ends the wait for running requests when it aborts.
   */
  stop(signal?: AbortSignal): Promise<void>;
}

/**
 * Serves one function. Its failures answer 500 (a BadHttpRequestError its own status); in the development
 * environment (WINDHOVER_ENVIRONMENT, NODE_ENV) with all the details.
 *
 * @param options - Where and how to serve.
 * @param delegate - What answers each request.
 * @returns Settles when requests are accepted, or rejects where that cannot be.
 * @throws TypeError WH_ERR_INVALID_ARGUMENT as a rejection.
 */
export async function serve(
  options: ServeOptions,
  delegate: RequestDelegate,
): Promise<RunningServer<DefaultServer>> {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw invalidArgument('options', 'an object', options);
  }
  const { urls, onError, server: name, ...serverOptions } = options;
  if (serverOptions.endpoints !== undefined && !Array.isArray(serverOptions.endpoints)) {
    throw invalidArgument('endpoints', 'an array', serverOptions.endpoints);
  }
  const endpoints: EndpointOptions[] = [...(serverOptions.endpoints ?? []), ...toEndpoints(urls)];
  if (endpoints.length === 0) endpoints.push({ url: DEFAULT_URL });
  const server = makeDefaultServer({ ...serverOptions, endpoints }, name);
  return startServing(server, delegate, onError, serverOptions.logger);
}

/** Starts a server with one function, as {@link serve} does. */
export async function startServing<S extends Server>(
  server: S,
  delegate: RequestDelegate,
  onError: ErrorListener | undefined,
  logger?: Logger,
): Promise<RunningServer<S>> {
  const application = createApplication(delegate, {
    development: resolveEnvironment({}, process.env).isDevelopment,
    onError,
    logger,
  });
  await server.start(application);
  return {
    server,
    get addresses() {
      return server.features.get(ServerAddressesFeature)?.addresses ?? [];
    },
    stop: (signal) => server.stop(signal),
  };
}

function toEndpoints(urls: string | readonly string[] | undefined): EndpointOptions[] {
  const list: unknown = typeof urls === 'string' ? [urls] : (urls ?? []);
  if (!Array.isArray(list)) throw invalidArgument('urls', 'a string or an array of strings', urls);
  return list.map((url: unknown) => {
    if (typeof url !== 'string')
      throw invalidArgument('urls', 'a string or an array of strings', url);
    return { url };
  });
}
