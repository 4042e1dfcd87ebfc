/** Sends clients that come by http to https. Source: ASP.NET Core's HttpsRedirectionMiddleware. */
import type { HttpContext } from '../http/http-context.js';
import type { Middleware } from '../http/middleware.js';
import { refuseUnknown, requireObject, wrongType, wrongValue } from '../http/option-errors.js';
import { parseHost } from './host-names.js';
import { encodePath } from './path-prefix.js';

/** Where clients are sent. Source: ASP.NET Core's HttpsRedirectionOptions. */
export interface HttpsRedirectionOptions {
  /** 301, 302, 307 or 308; the last two keep the method. Default 307. */
  readonly redirectStatusCode?: number;
  /**
   * The port of the https URLs. Default: the setting `https_port` or `httpsPort`, which WINDHOVER_HTTPS_PORT
   * sets; else the variable HTTPS_PORT; else the server's own https port, where it has exactly one.
   */
  readonly httpsPort?: number;
}

/** Where else the port may be found. */
export interface PortSources {
  /** The URLs that the server listens on, asked for when the first request comes. */
  readonly addresses?: () => readonly string[];
}

const OPTIONS = new Set(['redirectStatusCode', 'httpsPort']);

const PREFIX = 'httpsRedirection.';

const STATUSES = [301, 302, 307, 308];

const PORT_MAX = 65_535;

/** The port that URLs with https need not name. */
const HTTPS_PORT = 443;

/**
 * Middleware that redirects http requests to https. Where no https port is known it does nothing, and a
 * warning says so, once (WH_WARN_HTTPS_PORT_UNKNOWN). A request without a host is answered 400.
 *
 * @param sources - Where else the port may be found; an application gives its server's addresses.
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming option and value.
 */
export function httpsRedirection(
  options: HttpsRedirectionOptions = {},
  sources: PortSources = {},
): Middleware {
  requireObject('httpsRedirection', options);
  refuseUnknown(options, OPTIONS, PREFIX);
  const { redirectStatusCode = 307, httpsPort } = options;
  if (!STATUSES.includes(redirectStatusCode)) {
    throw wrongValue(`${PREFIX}redirectStatusCode`, STATUSES.join(', '), redirectStatusCode);
  }
  let port: number | undefined;
  if (httpsPort !== undefined) port = requirePort(`${PREFIX}httpsPort`, httpsPort);
  else {
    const variable = process.env['HTTPS_PORT'] ?? '';
    if (variable !== '') port = requirePort('HTTPS_PORT of the environment', Number(variable));
  }
  let isUnknown = false;
  return (context, next) => {
    if (context.request.isHttps || isUnknown) return next();
    port ??= portOf(sources.addresses?.() ?? []);
    if (port !== undefined) {
      redirect(context, redirectStatusCode, port);
      return undefined;
    }
    isUnknown = true;
    process.emitWarning(
      'There is no redirection to https: the port is not known. Set httpsRedirection.httpsPort, ' +
        'the setting https_port or the variable HTTPS_PORT',
      { code: 'WH_WARN_HTTPS_PORT_UNKNOWN' },
    );
    return next();
  };
}

function requirePort(name: string, port: number): number {
  const expected = `a port, 1 to ${String(PORT_MAX)}`;
  if (typeof port !== 'number') throw wrongType(name, expected, port);
  if (!Number.isInteger(port) || port < 1 || port > PORT_MAX)
    throw wrongValue(name, expected, port);
  return port;
}

/** The one https port of some URLs; `undefined` where there is none, or there are several. */
function portOf(addresses: readonly string[]): number | undefined {
  const ports = new Set<number>();
  for (const address of addresses) {
    const match = /^https:\/\/[^/]*?(?::([0-9]+))?\/?$/i.exec(address);
    if (match === null || /^https:\/\/unix:/i.test(address)) continue;
    ports.add(Number((match[1] as string | undefined) ?? HTTPS_PORT));
  }
  return ports.size === 1 ? [...ports][0] : undefined;
}

function redirect({ request, response }: HttpContext, status: number, port: number): void {
  const parts = parseHost(request.host);
  if (parts === undefined) {
    response.statusCode = 400;
    return;
  }
  const authority = port === HTTPS_PORT ? parts.host : `${parts.host}:${String(port)}`;
  const path = encodePath(request.pathBase + request.path);
  response.redirect(`https://${authority}${path}${request.queryString}`, status);
}
